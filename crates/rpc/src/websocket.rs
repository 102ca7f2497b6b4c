//! What WebSocket connections are answered where jsonrpsee and geth differ.

use crate::{RpcError, dispatch::Measured};
use jsonrpsee::{
    MethodResponse, Methods,
    core::middleware::{Batch, Notification, RpcServiceT},
    types::{ErrorObjectOwned, Request},
};

/// How jsonrpsee answers who ends a subscription that is not theirs.
const NOT_SUBSCRIBED: &str = r#""result":false}"#;

/// Measures calls, and refuses unknown methods and subscriptions in geth's words.
#[derive(Debug, Clone)]
pub(crate) struct GethAnswers {
    methods: Methods,
    transport: &'static str,
}

impl GethAnswers {
    pub(crate) const fn new(methods: Methods, transport: &'static str) -> Self {
        Self { methods, transport }
    }
}

impl<S> tower::Layer<S> for GethAnswers {
    type Service = GethService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GethService { inner, answers: self.clone() }
    }
}

/// A service behind [`GethAnswers`].
#[derive(Debug, Clone)]
pub(crate) struct GethService<S> {
    inner: S,
    answers: GethAnswers,
}

impl<S> RpcServiceT for GethService<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Send
        + Sync
        + Clone
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let GethAnswers { methods, transport } = &self.answers;
        let known = methods
            .method_with_name(&request.method)
            .map(|(name, _)| Measured::start(name, transport));
        let inner = self.inner.clone();
        async move {
            let Some(measured) = known else {
                let error = RpcError::method_not_found(&request.method);
                return MethodResponse::error(request.id, ErrorObjectOwned::from(error));
            };
            let unsubscribed = (request.method == "eth_unsubscribe").then(|| request.id.clone());
            let mut answer = inner.call(request).await;
            if let Some(id) = unsubscribed
                && answer.as_json().get().ends_with(NOT_SUBSCRIBED)
            {
                let error = RpcError::server("subscription not found");
                answer = MethodResponse::error(id, ErrorObjectOwned::from(error));
            }
            measured.end(answer.is_success());
            answer
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.batch(batch)
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}
