//! Which HTTP requests are heard at all.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use jsonrpsee::server::HttpBody;
use std::net::IpAddr;

/// Media types that a JSON-RPC request may have.
const MEDIA_TYPES: [&str; 3] =
    ["application/json", "application/json-rpc", "application/jsonrequest"];

/// Pages that may call this server from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Every page.
    Any,
    /// Those of these origins: scheme, host, port.
    These(Vec<String>),
}

impl Origins {
    /// Reads a list separated by commas, or `*`.
    pub fn parse(list: &str) -> Self {
        let list: Vec<_> =
            list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
        if list.iter().any(|origin| origin == "*") { Self::Any } else { Self::These(list) }
    }

    /// Whether a request with this `Origin` is heard. One without is no page's.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        match self {
            Self::Any => true,
            Self::These(list) => origin
                .to_str()
                .is_ok_and(|it| list.iter().any(|known| known.eq_ignore_ascii_case(it))),
        }
    }
}

/// Whether the host that a request names is one of `hosts`, so that a page on a foreign name that
/// was made to point here (DNS rebinding) is not heard. Addresses name themselves.
pub(crate) fn host_allowed(headers: &HeaderMap, uri: &Uri, hosts: &[String]) -> bool {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(named) = named.or_else(|| uri.authority().map(|authority| authority.as_str())) else {
        return true;
    };
    let host = without_port(named);
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return true;
    }
    hosts.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(host))
}

/// The host of `host:port`, of `[::1]:port` and of either alone.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => {
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

/// Whether a request has nothing to say: what load balancers send to see whether a server lives.
pub(crate) fn is_ping(method: &Method, headers: &HeaderMap, uri: &Uri) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    *method == Method::GET
        && uri.query().is_none()
        && length.is_none_or(|length| length == "0")
        && !headers.contains_key(header::TRANSFER_ENCODING)
}

/// Refuses methods, sizes and media types that are not JSON-RPC's, in geth's words.
pub(crate) fn check_request(
    method: &Method,
    headers: &HeaderMap,
    max_size: u32,
) -> Result<(), Box<Response<HttpBody>>> {
    if *method == Method::PUT || *method == Method::DELETE {
        return Err(text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").into());
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if let Some(length) = length.and_then(|length| length.parse::<u64>().ok())
        && length > u64::from(max_size)
    {
        return Err(too_large(length, max_size).into());
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let known = media_type.is_some_and(|it| {
        let name = it.split(';').next().unwrap_or_default().trim();
        MEDIA_TYPES.iter().any(|known| known.eq_ignore_ascii_case(name))
    });
    if !known && *method != Method::OPTIONS {
        return Err(text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid content type, only application/json is supported",
        )
        .into());
    }
    Ok(())
}

/// A body of this many bytes, or more, is not read.
pub(crate) fn too_large(length: u64, max_size: u32) -> Response<HttpBody> {
    let message = format!("content length too large ({length}>{max_size})");
    text(StatusCode::PAYLOAD_TOO_LARGE, &message)
}

/// The answer to a request on a name that is not this server's.
pub(crate) fn invalid_host() -> Response<HttpBody> {
    text(StatusCode::FORBIDDEN, "invalid host specified")
}

/// A refusal in plain text.
pub(crate) fn text(status: StatusCode, message: &str) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(format!("{message}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer in JSON.
pub(crate) fn json(body: Vec<u8>) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).expect("the test's own header");
        HeaderMap::from_iter([(name, value)])
    }

    #[test]
    fn foreign_hosts_are_not_heard() {
        let hosts = ["localhost".to_owned()];
        let allowed = |host: &str, hosts: &[String]| {
            host_allowed(&headers(header::HOST, host), &Uri::from_static("/"), hosts)
        };
        for host in
            ["localhost", "LocalHost:8545", "127.0.0.1:8545", "[::1]:8545", "[::1]", "10.0.0.7"]
        {
            assert!(allowed(host, &hosts), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8545", "127.0.0.1.evil.example"] {
            assert!(!allowed(host, &hosts), "{host}");
            assert!(allowed(host, &["*".to_owned()]), "{host}");
        }
        assert!(host_allowed(&HeaderMap::new(), &Uri::from_static("/"), &hosts));
    }

    #[test]
    fn origins() {
        let page = headers(header::ORIGIN, "https://app.example");
        assert!(Origins::Any.allow(&page));
        assert!(Origins::parse("https://other.example, https://app.example").allow(&page));
        assert!(!Origins::parse("https://other.example").allow(&page));
        assert!(Origins::parse("").allow(&HeaderMap::new()));
        assert_eq!(Origins::parse("a,*"), Origins::Any);
    }

    #[test]
    fn requests_are_judged_as_geth_judges_them() {
        let judge = |method: Method, headers: &HeaderMap| {
            check_request(&method, headers, 10).map_err(|response| response.status().as_u16())
        };
        let json = |value| headers(header::CONTENT_TYPE, value);
        assert_eq!(judge(Method::POST, &json("application/json")), Ok(()));
        assert_eq!(judge(Method::POST, &json("Application/JSON; charset=utf-8")), Ok(()));
        assert_eq!(judge(Method::POST, &json("application/json-rpc")), Ok(()));
        assert_eq!(judge(Method::POST, &json("text/plain")), Err(415));
        assert_eq!(judge(Method::POST, &HeaderMap::new()), Err(415));
        assert_eq!(judge(Method::PUT, &json("application/json")), Err(405));
        assert_eq!(judge(Method::DELETE, &HeaderMap::new()), Err(405));
        assert_eq!(judge(Method::OPTIONS, &HeaderMap::new()), Ok(()));
        let mut long = json("application/json");
        long.insert(header::CONTENT_LENGTH, HeaderValue::from_static("11"));
        assert_eq!(judge(Method::POST, &long), Err(413));
    }

    #[test]
    fn pings() {
        let empty = HeaderMap::new();
        assert!(is_ping(&Method::GET, &empty, &Uri::from_static("/")));
        assert!(!is_ping(&Method::GET, &empty, &Uri::from_static("/?a=b")));
        assert!(!is_ping(&Method::POST, &empty, &Uri::from_static("/")));
        let body = headers(header::CONTENT_LENGTH, "5");
        assert!(!is_ping(&Method::GET, &body, &Uri::from_static("/")));
    }
}
