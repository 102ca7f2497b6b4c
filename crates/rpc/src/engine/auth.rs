//! The guard at the authenticated port: no request passes without a good token.

use std::task::{Context, Poll};

use crate::{access, jwt::JwtSecret};
use futures::future::{Either, Ready, ready};
use http::{Request, Response, StatusCode, header};
use jsonrpsee::server::HttpBody;
use metrics::counter;
use tower::{Layer, Service};

/// Guards a service with a [`JwtSecret`]: HTTP requests and WebSocket handshakes without a valid
/// token are answered with status 401 and the reason as text, as geth does.
#[derive(Clone, Copy, Debug)]
pub struct AuthLayer(JwtSecret);

impl AuthLayer {
    /// Lets in whoever knows `secret`.
    pub const fn new(secret: JwtSecret) -> Self {
        Self(secret)
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Auth { inner, secret: self.0 }
    }
}

/// A service behind an [`AuthLayer`].
#[derive(Clone, Debug)]
pub struct Auth<S> {
    inner: S,
    secret: JwtSecret,
}

impl<S, B> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<HttpBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let header = request.headers().get(header::AUTHORIZATION);
        match self.secret.authorize(header.and_then(|value| value.to_str().ok())) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(error) => {
                tracing::warn!(target: "rpc::engine", %error, "refused a request to the authenticated port");
                counter!("ascribe_rpc_auth_refused_total").increment(1);
                let refusal = access::text(StatusCode::UNAUTHORIZED, &error.to_string());
                Either::Right(ready(Ok(refusal)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::convert::Infallible;

    use http_body_util::BodyExt;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    async fn ask(authorization: Option<String>) -> (StatusCode, String) {
        let secret = "11".repeat(32).parse().unwrap();
        let service =
            ServiceBuilder::new().layer(AuthLayer::new(secret)).service(service_fn(|_| async {
                Ok::<_, Infallible>(Response::new(HttpBody::from("in")))
            }));
        let mut request = Request::builder().uri("/");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let response = service.oneshot(request.body(()).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn lets_in_with_the_secret_alone() {
        let secret: JwtSecret = "11".repeat(32).parse().unwrap();
        assert_eq!(ask(Some(secret.bearer())).await, (StatusCode::OK, "in".into()));

        let refused = |text: &str| (StatusCode::UNAUTHORIZED, format!("{text}\n"));
        assert_eq!(ask(None).await, refused("missing token"));
        assert_eq!(ask(Some("Bearer ".into())).await, refused("missing token"));
        let other = JwtSecret::random().bearer();
        assert_eq!(ask(Some(other)).await, refused("signature is invalid"));
    }
}
