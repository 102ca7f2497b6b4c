//! The servers: which methods are offered where, and to whom.

use crate::{
    JwtSecret, Namespace, Namespaces, RpcConfig, RpcContext,
    access::{self, Origins},
    admin::{self, LogControl},
    attribution, debug,
    dispatch::{Dispatcher, Limits},
    engine::{self, AuthLayer},
    eth,
    method::Registry,
    miner, net,
    optimism::{self, RollupNode},
    txpool, web3,
    websocket::GethAnswers,
};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use jsonrpsee::{
    Methods,
    core::{BoxError, middleware::RpcServiceBuilder},
    server::{
        BatchRequestConfig, ConnectionGuard, HttpBody, PingConfig, Server, ServerConfig,
        ServerHandle, StopHandle, TowerServiceBuilder, serve_with_graceful_shutdown, stop_channel,
    },
};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tower::{Service, ServiceBuilder, service_fn};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tracing::{debug, info};

/// How long browsers may remember what origins are allowed.
const CORS_MAX_AGE: Duration = Duration::from_secs(600);
/// WebSocket messages that wait for a slow client before the server waits with them.
const MESSAGE_BUFFER: u32 = 1024;

/// JSON-RPC over HTTP.
#[derive(Debug, Clone)]
pub struct HttpServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// What is offered.
    pub namespaces: Namespaces,
    /// Pages that may call from a browser; none unless said otherwise.
    pub cors: Option<Origins>,
    /// Host names that requests may carry.
    pub vhosts: Vec<String>,
}

/// JSON-RPC over WebSocket.
#[derive(Debug, Clone)]
pub struct WsServerConfig {
    /// Where to listen; port 0 takes a free one. The same as that of HTTP makes one server of both.
    pub addr: SocketAddr,
    /// What is offered.
    pub namespaces: Namespaces,
    /// Pages that may connect from a browser.
    pub origins: Origins,
}

/// The Engine API, over HTTP and WebSocket.
#[derive(Debug, Clone)]
pub struct AuthServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// What the consensus client must know.
    pub secret: JwtSecret,
    /// Host names that requests may carry.
    pub vhosts: Vec<String>,
}

/// Which servers to start.
#[derive(Debug, Clone, Default)]
pub struct ServersConfig {
    /// Public, over HTTP.
    pub http: Option<HttpServerConfig>,
    /// Public, over WebSocket.
    pub ws: Option<WsServerConfig>,
    /// For the consensus client.
    pub auth: Option<AuthServerConfig>,
    /// What an op-node would offer on a port of its own: `optimism_`, `admin_`.
    pub rollup: Option<HttpServerConfig>,
}

/// A server could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} for {name}: {source}")]
pub struct ServerError {
    /// Which.
    pub name: &'static str,
    /// Where.
    pub addr: SocketAddr,
    /// What the operating system says.
    pub source: io::Error,
}

/// All methods that there are, by namespace.
#[derive(Debug, Clone)]
pub struct Modules {
    public: BTreeMap<Namespace, Methods>,
    engine: Methods,
    config: Arc<RpcConfig>,
}

impl Modules {
    /// Those of a node: with `rollup` also what an op-node answers, with `logs` the control of
    /// how much is logged.
    pub fn new(
        context: &RpcContext,
        rollup: Option<&RollupNode>,
        logs: Option<&Arc<dyn LogControl>>,
    ) -> Self {
        let methods = |register: &dyn Fn(&mut Registry)| {
            let mut registry = Registry::new(context);
            register(&mut registry);
            Methods::from(registry.into_module())
        };
        let mut public = BTreeMap::from([
            (Namespace::Admin, methods(&|registry| admin::register(registry, rollup, logs))),
            (Namespace::Attribution, methods(&attribution::register)),
            (Namespace::Debug, methods(&debug::register)),
            (Namespace::Eth, methods(&eth::register)),
            (Namespace::Miner, methods(&miner::register)),
            (Namespace::Net, methods(&net::register)),
            (Namespace::Txpool, methods(&txpool::register)),
            (Namespace::Web3, methods(&web3::register)),
        ]);
        if let Some(rollup) = rollup {
            let optimism = methods(&|registry| optimism::register(registry, rollup));
            public.insert(Namespace::Optimism, optimism);
        }
        Self { public, engine: methods(&engine::register), config: context.config.clone() }
    }

    /// The methods of these namespaces, and `rpc_modules`, which tells of them.
    fn select(&self, namespaces: &Namespaces) -> Methods {
        let mut selected = Methods::new();
        let mut versions = BTreeMap::from([(Namespace::Rpc.name(), "1.0")]);
        for (namespace, methods) in &self.public {
            if namespaces.contains(*namespace) {
                merge(&mut selected, methods.clone());
                versions.insert(namespace.name(), "1.0");
            }
        }
        merge(&mut selected, rpc_modules(versions));
        selected
    }

    /// What a consensus client may use: all, for it has authority over the chain anyway.
    fn authenticated(&self) -> Methods {
        let mut selected = self.select(&Namespaces::all());
        merge(&mut selected, self.engine.clone());
        selected
    }
}

fn merge(methods: &mut Methods, more: impl Into<Methods>) {
    methods.merge(more).expect("invariant: namespaces do not share names");
}

fn rpc_modules(versions: BTreeMap<&'static str, &'static str>) -> Methods {
    let mut module = jsonrpsee::RpcModule::new(versions);
    module
        .register_method("rpc_modules", |_, versions, _| {
            Ok::<_, jsonrpsee::types::ErrorObjectOwned>(versions.clone())
        })
        .map(|_| ())
        .expect("invariant: it is the first of its name");
    module.into()
}

/// A request as hyper hands it over.
type HttpRequest = Request<Incoming>;

/// One port and what is served there.
struct Endpoint {
    name: &'static str,
    http: Option<HttpEndpoint>,
    ws: Option<WsEndpoint>,
    secret: Option<JwtSecret>,
    max_request_size: u32,
    connections: ConnectionGuard,
    stop: StopHandle,
}

struct HttpEndpoint {
    dispatcher: Dispatcher,
    cors: Option<Origins>,
    vhosts: Vec<String>,
}

struct WsEndpoint {
    methods: Methods,
    origins: Origins,
    builder: TowerServiceBuilder<tower::layer::util::Identity, tower::layer::util::Identity>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Servers that are running.
#[derive(Debug)]
pub struct RpcServers {
    /// Where HTTP is served.
    pub http: Option<SocketAddr>,
    /// Where WebSocket is served.
    pub ws: Option<SocketAddr>,
    /// Where the Engine API is served.
    pub auth: Option<SocketAddr>,
    /// Where `optimism_` and `admin_` are served.
    pub rollup: Option<SocketAddr>,
    handle: ServerHandle,
}

impl RpcServers {
    /// Binds every port, then serves.
    ///
    /// # Errors
    /// When one of the ports cannot be had; then none is served.
    pub async fn start(modules: &Modules, config: ServersConfig) -> Result<Self, ServerError> {
        let (stop, handle) = stop_channel();
        let limits = &*modules.config;
        let mut bound = Vec::new();
        let mut servers =
            Self { http: None, ws: None, auth: None, rollup: None, handle: handle.clone() };

        let ServersConfig { http, mut ws, auth, rollup } = config;
        if let Some(http) = http {
            let mut endpoint = Endpoint::new("http", limits, &stop);
            endpoint.http = Some(http_endpoint(modules, &http, limits));
            let shared = ws.take_if(|ws| ws.addr == http.addr && http.addr.port() != 0);
            endpoint.ws = shared.as_ref().map(|ws| ws_endpoint(modules, ws, limits));
            let (addr, listener) = listen("http", http.addr).await?;
            servers.http = Some(addr);
            servers.ws = shared.map(|_| addr);
            bound.push((listener, endpoint));
        }
        if let Some(ws) = ws {
            let mut endpoint = Endpoint::new("ws", limits, &stop);
            endpoint.ws = Some(ws_endpoint(modules, &ws, limits));
            let (addr, listener) = listen("ws", ws.addr).await?;
            servers.ws = Some(addr);
            bound.push((listener, endpoint));
        }
        if let Some(rollup) = rollup {
            let mut endpoint = Endpoint::new("rollup", limits, &stop);
            endpoint.http = Some(http_endpoint(modules, &rollup, limits));
            let (addr, listener) = listen("rollup", rollup.addr).await?;
            servers.rollup = Some(addr);
            bound.push((listener, endpoint));
        }
        if let Some(auth) = auth {
            let limits = RpcConfig {
                max_request_size: engine::MAX_REQUEST_SIZE,
                max_response_size: engine::MAX_RESPONSE_SIZE,
                max_batch: engine::MAX_BATCH,
                max_batch_response: engine::MAX_RESPONSE_SIZE as usize,
                ..limits.clone()
            };
            let mut endpoint = Endpoint::new("auth", &limits, &stop);
            let methods = modules.authenticated();
            endpoint.http =
                Some(HttpEndpoint::new("auth", methods.clone(), &limits, None, auth.vhosts));
            // Who shows a token is no page that a browser was lured to.
            endpoint.ws = Some(WsEndpoint::new(methods, &limits, Origins::Any));
            endpoint.secret = Some(auth.secret);
            let (addr, listener) = listen("auth", auth.addr).await?;
            servers.auth = Some(addr);
            bound.push((listener, endpoint));
        }
        for (listener, endpoint) in bound {
            tokio::spawn(Arc::new(endpoint).serve(listener));
        }
        Ok(servers)
    }

    /// Stops listening, lets requests that are under way finish, and closes all connections.
    pub async fn stop(self) {
        // An error says that it was stopped before.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

async fn listen(
    name: &'static str,
    addr: SocketAddr,
) -> Result<(SocketAddr, TcpListener), ServerError> {
    let error = |source| ServerError { name, addr, source };
    let listener = TcpListener::bind(addr).await.map_err(error)?;
    let local = listener.local_addr().map_err(error)?;
    info!(target: "ascribe::rpc", server = name, addr = %local, "Listening");
    Ok((local, listener))
}

fn http_endpoint(modules: &Modules, config: &HttpServerConfig, limits: &RpcConfig) -> HttpEndpoint {
    let methods = modules.select(&config.namespaces);
    HttpEndpoint::new("http", methods, limits, config.cors.clone(), config.vhosts.clone())
}

fn ws_endpoint(modules: &Modules, config: &WsServerConfig, limits: &RpcConfig) -> WsEndpoint {
    WsEndpoint::new(modules.select(&config.namespaces), limits, config.origins.clone())
}

impl HttpEndpoint {
    fn new(
        transport: &'static str,
        methods: Methods,
        config: &RpcConfig,
        cors: Option<Origins>,
        vhosts: Vec<String>,
    ) -> Self {
        let limits = Limits {
            max_response: config.max_response_size as usize,
            max_batch: config.max_batch,
            max_batch_response: config.max_batch_response,
            timeout: config.request_timeout,
        };
        Self { dispatcher: Dispatcher { methods, limits, transport }, cors, vhosts }
    }
}

impl WsEndpoint {
    fn new(methods: Methods, config: &RpcConfig, origins: Origins) -> Self {
        let server = ServerConfig::builder()
            .ws_only()
            .max_request_body_size(config.max_request_size)
            .max_response_body_size(config.max_response_size)
            .max_connections(config.max_connections)
            .max_subscriptions_per_connection(config.max_subscriptions)
            .set_batch_request_config(BatchRequestConfig::Limit(
                u32::try_from(config.max_batch).unwrap_or(u32::MAX),
            ))
            .set_message_buffer_capacity(MESSAGE_BUFFER)
            .enable_ws_ping(PingConfig::new())
            .set_id_provider(eth::HexIds)
            .build();
        Self {
            methods,
            origins,
            builder: Server::builder().set_config(server).to_service_builder(),
        }
    }
}

impl Endpoint {
    fn new(name: &'static str, config: &RpcConfig, stop: &StopHandle) -> Self {
        Self {
            name,
            http: None,
            ws: None,
            secret: None,
            max_request_size: config.max_request_size,
            connections: ConnectionGuard::new(config.max_connections as usize),
            stop: stop.clone(),
        }
    }

    /// Accepts connections until the server is stopped.
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let ids = AtomicU32::new(0);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.clone().shutdown() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    debug!(target: "ascribe::rpc", server = self.name, %peer, "Accepted");
                    self.connect(stream, ids.fetch_add(1, Ordering::Relaxed));
                }
                // A connection that was gone at once, or no file descriptor left for it.
                Err(error) => {
                    debug!(target: "ascribe::rpc", server = self.name, %error, "Cannot accept");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    fn connect(self: &Arc<Self>, stream: TcpStream, id: u32) {
        // Answers are written at once; there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let Some(permit) = self.connections.try_acquire() else {
            debug!(target: "ascribe::rpc", server = self.name, "Too many connections");
            return;
        };
        let gauge = metrics::gauge!("reth_rpc_server_connections", "transport" => self.name);
        let answerer = self.answerer(id);
        let stopped = self.stop.clone().shutdown();
        tokio::spawn(async move {
            gauge.increment(1.0);
            // An error is a client that hung up in the middle.
            let _ = serve_with_graceful_shutdown(stream, answerer, stopped).await;
            gauge.decrement(1.0);
            drop(permit);
        });
    }

    /// What answers a connection's requests: in front, who may ask; behind, the methods.
    fn answerer(
        self: &Arc<Self>,
        id: u32,
    ) -> impl Service<HttpRequest, Response = Response<HttpBody>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static {
        let this = self.clone();
        let cors = self.http.as_ref().and_then(|http| http.cors.as_ref()).map(cors_layer);
        ServiceBuilder::new()
            .option_layer(cors)
            .option_layer(self.secret.map(AuthLayer::new))
            .service(service_fn(move |request| {
                let this = this.clone();
                async move { Ok(this.answer(request, id).await) }
            }))
    }

    async fn answer(&self, request: HttpRequest, id: u32) -> Response<HttpBody> {
        if let Some(ws) = &self.ws
            && jsonrpsee::server::ws::is_upgrade_request(&request)
        {
            if !ws.origins.allow(request.headers()) {
                return access::text(http::StatusCode::FORBIDDEN, "origin not allowed");
            }
            let service = ws.builder.clone().connection_id(id);
            let service = service.set_rpc_middleware(
                RpcServiceBuilder::new().layer(GethAnswers::new(ws.methods.clone(), self.name)),
            );
            let mut service = service.build(ws.methods.clone(), self.stop.clone());
            return service.call(request).await.unwrap_or_else(|error| internal(&error));
        }
        match &self.http {
            Some(http) => http.answer(request, self.max_request_size).await,
            None => access::text(http::StatusCode::UPGRADE_REQUIRED, "WebSocket only"),
        }
    }
}

fn internal(error: &BoxError) -> Response<HttpBody> {
    access::text(http::StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

fn cors_layer(origins: &Origins) -> CorsLayer {
    let allowed: AllowOrigin = match origins {
        Origins::Any => Any.into(),
        Origins::These(list) => {
            AllowOrigin::list(list.iter().filter_map(|it| HeaderValue::from_str(it).ok()))
        }
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(Any)
        .max_age(CORS_MAX_AGE)
}

impl HttpEndpoint {
    async fn answer(&self, request: HttpRequest, max_size: u32) -> Response<HttpBody> {
        let (parts, body) = request.into_parts();
        if !access::host_allowed(&parts.headers, &parts.uri, &self.vhosts) {
            return access::invalid_host();
        }
        if access::is_ping(&parts.method, &parts.headers, &parts.uri) {
            return Response::new(HttpBody::empty());
        }
        if let Err(refused) = access::check_request(&parts.method, &parts.headers, max_size) {
            return *refused;
        }
        match Limited::new(body, max_size as usize).collect().await {
            Ok(body) => access::json(self.dispatcher.handle(&body.to_bytes()).await),
            Err(error) if error.is::<LengthLimitError>() => {
                access::too_large(u64::from(max_size) + 1, max_size)
            }
            Err(error) => access::text(http::StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }
}
