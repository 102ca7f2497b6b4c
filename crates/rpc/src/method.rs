//! Registering methods: typed positional parameters in, JSON out.

use crate::{
    RpcContext, RpcError,
    args::{Args, invalid},
};
use jsonrpsee::{
    IntoResponse, ResponsePayload, RpcModule, core::RegisterMethodError, types::Params,
};
use serde::{
    Deserializer, Serialize,
    de::{DeserializeOwned, IntoDeserializer, Visitor, value},
};
use serde_json::value::{RawValue, to_raw_value};
use std::{fmt, sync::Arc};

/// The methods of a namespace, being put together.
///
/// A handler's parameters are a tuple. As in geth, an `Option` at the end may be left out, whatever
/// else is missing is refused, and so is what is too much.
pub(crate) struct Registry {
    module: RpcModule<RpcContext>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").finish()
    }
}

impl Registry {
    pub(crate) fn new(context: &RpcContext) -> Self {
        Self { module: RpcModule::new(context.clone()) }
    }

    /// The finished module.
    pub(crate) fn into_module(self) -> RpcModule<RpcContext> {
        self.module
    }

    /// For what this registry has no words: subscriptions.
    pub(crate) fn module_mut(&mut self) -> &mut RpcModule<RpcContext> {
        &mut self.module
    }

    /// A method that answers at once: from memory, or with a few point reads.
    pub(crate) fn light<P, R>(
        &mut self,
        name: &'static str,
        method: impl Fn(&RpcContext, P) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) where
        P: FromParams,
        R: Serialize,
    {
        registered(self.module.register_method(name, move |params, context, _| {
            Answer::of(P::from_params(&params).and_then(|params| method(context, params)))
        }));
    }

    /// A method that executes, proves, searches or answers much: it runs on a thread for such.
    pub(crate) fn heavy<P, R>(
        &mut self,
        name: &'static str,
        method: impl Fn(&RpcContext, P) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) where
        P: FromParams,
        R: Serialize,
    {
        registered(self.module.register_async_method(name, move |params, context, _| {
            let method = method.clone();
            async move {
                match P::from_params(&params) {
                    Ok(params) => {
                        let tasks = context.tasks.clone();
                        let work = move || {
                            let Answer(answer) = Answer::of(method(&context, params));
                            answer
                        };
                        Answer(tasks.heavy(work).await)
                    }
                    Err(error) => Answer(Err(error)),
                }
            }
        }));
    }

    /// A method that waits for something.
    pub(crate) fn waiting<P, R, F>(
        &mut self,
        name: &'static str,
        method: impl Fn(Arc<RpcContext>, P) -> F + Clone + Send + Sync + 'static,
    ) where
        P: FromParams,
        R: Serialize,
        F: Future<Output = Result<R, RpcError>> + Send + 'static,
    {
        registered(self.module.register_async_method(name, move |params, context, _| {
            let method = method.clone();
            async move {
                match P::from_params(&params) {
                    Ok(params) => Answer::of(method(context, params).await),
                    Err(error) => Answer(Err(error)),
                }
            }
        }));
    }
}

fn registered<T>(result: Result<T, RegisterMethodError>) {
    result.map(|_| ()).expect("invariant: no method is registered twice");
}

/// An answer that is JSON already, so that it is written where it was made, not where it is sent.
#[derive(Debug, Clone)]
struct Answer(Result<Box<RawValue>, RpcError>);

impl Answer {
    fn of<R: Serialize>(result: Result<R, RpcError>) -> Self {
        Self(result.and_then(|value| {
            to_raw_value(&value).map_err(|error| RpcError::internal(error.to_string()))
        }))
    }
}

impl IntoResponse for Answer {
    type Output = Box<RawValue>;

    fn into_response(self) -> ResponsePayload<'static, Self::Output> {
        match self.0 {
            Ok(value) => ResponsePayload::success(value),
            Err(error) => ResponsePayload::error(error),
        }
    }
}

/// The parameters of a method: a tuple of what can be read from JSON.
pub(crate) trait FromParams: Sized + Send + 'static {
    fn from_params(params: &Params<'_>) -> Result<Self, RpcError>;
}

impl FromParams for () {
    fn from_params(params: &Params<'_>) -> Result<Self, RpcError> {
        Args::parse(params, 0)?;
        Ok(())
    }
}

macro_rules! from_params {
    ($count:literal: $($parameter:ident $index:literal),+) => {
        impl<$($parameter: DeserializeOwned + Send + 'static),+> FromParams for ($($parameter,)+) {
            fn from_params(params: &Params<'_>) -> Result<Self, RpcError> {
                let args = Args::parse(params, $count)?;
                Ok(($(parameter::<$parameter>(&args, $index)?,)+))
            }
        }
    };
}

from_params!(1: A 0);
from_params!(2: A 0, B 1);
from_params!(3: A 0, B 1, C 2);
from_params!(4: A 0, B 1, C 2, D 3);
from_params!(5: A 0, B 1, C 2, D 3, E 4);
from_params!(6: A 0, B 1, C 2, D 3, E 4, F 5);

fn parameter<T: DeserializeOwned>(args: &Args<'_>, index: usize) -> Result<T, RpcError> {
    match args.get(index) {
        Some(_) => Ok(args.read(index)?),
        // What may be left out says so by taking "nothing" for an answer.
        None => T::deserialize(Missing)
            .map_err(|_| invalid(format!("missing value for required argument {index}")).into()),
    }
}

/// A parameter that is not there: only an `Option` can be made of it.
struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de> for Missing {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<P: FromParams>(text: Option<&str>) -> Result<P, String> {
        P::from_params(&Params::new(text)).map_err(|error| {
            assert_eq!(error.code(), -32602);
            error.message().to_owned()
        })
    }

    #[test]
    fn options_may_be_left_out() {
        type P = (u64, Option<bool>);
        assert_eq!(read::<P>(Some("[1,true]")), Ok((1, Some(true))));
        assert_eq!(read::<P>(Some("[1]")), Ok((1, None)));
        assert_eq!(read::<P>(Some("[1,null]")), Ok((1, None)));
        assert_eq!(read::<P>(Some("[]")), Err("missing value for required argument 0".into()));
        assert_eq!(read::<P>(None), Err("missing value for required argument 0".into()));
        assert_eq!(read::<P>(Some("[1,true,2]")), Err("too many arguments, want at most 2".into()));
        assert_eq!(read::<()>(Some("[1]")), Err("too many arguments, want at most 0".into()));
        assert_eq!(read::<()>(Some("null")), Ok(()));
    }
}
