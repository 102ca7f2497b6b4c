//! The secret shared with the consensus client, and the tokens made from it.
//!
//! The Engine API authenticates every HTTP request and every WebSocket handshake with a JSON Web
//! Token signed with HS256 over a 32-byte secret; the token's `iat` claim must be within 60
//! seconds of the node's clock (execution-apis `src/engine/authentication.md`). Checks run in
//! geth's order and refuse with geth's texts, which is what operators search for.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::hex;
use base64::{DecodeError, Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// How far a token's `iat` may be from the node's clock, either way.
const MAX_IAT_DRIFT: Duration = Duration::from_secs(60);

/// Upper bound on the length of a token. Real ones have about 120 bytes.
const MAX_TOKEN_LENGTH: usize = 4096;

/// The header of every token this node makes: `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The algorithms a JWT library knows by name, whether or not they are accepted here.
const KNOWN_ALGORITHMS: [&str; 13] = [
    "none", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512",
    "PS256", "PS384", "PS512",
];

/// Why a secret could not be read, made or stored.
#[derive(Debug, thiserror::Error)]
pub enum JwtSecretError {
    /// The text is not 32 bytes of hexadecimal.
    #[error("invalid JWT secret: expected 64 hexadecimal digits, got {0} characters")]
    Length(usize),
    /// The text has a character that is no hexadecimal digit.
    #[error("invalid JWT secret: {0}")]
    Hex(#[from] hex::FromHexError),
    /// The file could not be read.
    #[error("cannot read the JWT secret from {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot store a new JWT secret in {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a request was not let in. The texts are geth's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// No `Authorization: Bearer` header.
    #[error("missing token")]
    MissingToken,
    /// Not three segments separated by dots.
    #[error("token contains an invalid number of segments")]
    Segments,
    /// A segment is not base64url without padding.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    /// The header or the claims are not the JSON they should be.
    #[error("{0}")]
    Json(String),
    /// The header names no algorithm.
    #[error("signing method (alg) is unspecified.")]
    AlgorithmUnspecified,
    /// The header names an algorithm nobody knows.
    #[error("signing method (alg) is unavailable.")]
    AlgorithmUnavailable,
    /// The header names an algorithm other than HS256.
    #[error("signing method {0} is invalid")]
    Algorithm(String),
    /// Signed with another secret, or changed afterwards.
    #[error("signature is invalid")]
    Signature,
    /// The optional `exp` claim has passed.
    #[error("token is expired")]
    Expired,
    /// The claims hold no `iat`.
    #[error("missing issued-at")]
    MissingIssuedAt,
    /// `iat` is more than 60 seconds ago.
    #[error("stale token")]
    Stale,
    /// `iat` is more than 60 seconds ahead.
    #[error("future token")]
    Future,
}

impl From<DecodeError> for JwtError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => {
                Self::Base64(at)
            }
            DecodeError::InvalidLength(length) => Self::Base64(length),
            DecodeError::InvalidPadding => Self::Base64(0),
        }
    }
}

impl From<serde_json::Error> for JwtError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

/// The claims the Engine API looks at; a token may hold others. Times are seconds since 1970 and
/// may have a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JwtClaims {
    /// When the token was made.
    pub iat: Option<f64>,
    /// After when it must be refused, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<f64>,
}

#[derive(Deserialize)]
struct Header {
    alg: Option<serde_json::Value>,
}

/// A 32-byte secret shared by the node and its consensus client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JwtSecret([u8; 32]);

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(..)")
    }
}

impl FromStr for JwtSecret {
    type Err = JwtSecretError;

    /// Reads 64 hexadecimal digits, with or without `0x`, with white space around them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        if digits.len() != 64 {
            return Err(JwtSecretError::Length(digits.len()));
        }
        Ok(Self(hex::decode_to_array(digits)?))
    }
}

impl JwtSecret {
    /// A new random secret.
    pub fn random() -> Self {
        Self(alloy_primitives::B256::random().0)
    }

    /// Reads the secret from a file of 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, JwtSecretError> {
        fs::read_to_string(path)
            .map_err(|source| JwtSecretError::Read { path: path.to_path_buf(), source })?
            .parse()
    }

    /// Reads the secret from `path`, or makes one and stores it there, readable by its owner
    /// alone, if the file does not exist.
    ///
    /// # Errors
    /// When the file holds something else, or cannot be read or created.
    pub fn read_or_create(path: &Path) -> Result<Self, JwtSecretError> {
        match Self::read(path) {
            Err(JwtSecretError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                let secret = Self::random();
                secret
                    .store(path)
                    .map_err(|source| JwtSecretError::Write { path: path.to_path_buf(), source })?;
                Ok(secret)
            }
            done => done,
        }
    }

    fn store(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(hex::encode(self.0).as_bytes())?;
        file.sync_all()
    }

    /// Makes a token with these claims.
    pub fn token(&self, claims: &JwtClaims) -> String {
        let claims = serde_json::to_vec(claims).expect("invariant: two numbers are valid JSON");
        let message = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.mac(message.as_bytes()).finalize().into_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The value of an `Authorization` header that is good for the next minute.
    pub fn bearer(&self) -> String {
        let iat = Some(unix_seconds().floor());
        format!("Bearer {}", self.token(&JwtClaims { iat, exp: None }))
    }

    /// Checks the value of an `Authorization` header against this secret and the system's clock.
    ///
    /// # Errors
    /// The reason, in geth's words.
    pub fn authorize(&self, header: Option<&str>) -> Result<(), JwtError> {
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if token.is_empty() {
            return Err(JwtError::MissingToken);
        }
        self.verify(token, unix_seconds())
    }

    /// Checks a token as of `now`, in seconds since 1970.
    fn verify(&self, token: &str, now: f64) -> Result<(), JwtError> {
        let mut segments = token.split('.');
        let (Some(header), Some(claims), Some(signature), None, true) = (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
            token.len() <= MAX_TOKEN_LENGTH,
        ) else {
            return Err(JwtError::Segments);
        };
        let fields: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
        let JwtClaims { iat, exp } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
        match fields.alg.as_ref().and_then(|alg| alg.as_str()) {
            None => return Err(JwtError::AlgorithmUnspecified),
            Some("HS256") => {}
            Some(alg) if KNOWN_ALGORITHMS.contains(&alg) => {
                return Err(JwtError::Algorithm(alg.to_owned()));
            }
            Some(_) => return Err(JwtError::AlgorithmUnavailable),
        }
        let message = &token.as_bytes()[..header.len() + 1 + claims.len()];
        self.mac(message)
            .verify_slice(&URL_SAFE_NO_PAD.decode(signature)?)
            .map_err(|_| JwtError::Signature)?;

        if exp.is_some_and(|exp| now >= exp) {
            return Err(JwtError::Expired);
        }
        let drift = MAX_IAT_DRIFT.as_secs_f64();
        match iat {
            None => Err(JwtError::MissingIssuedAt),
            Some(iat) if now - iat > drift => Err(JwtError::Stale),
            Some(iat) if iat - now > drift => Err(JwtError::Future),
            Some(_) => Ok(()),
        }
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::new_from_slice(&self.0).expect("invariant: HMAC takes keys of any length");
        mac.update(message);
        mac
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: f64 = 1_800_000_000.0;

    fn secret() -> JwtSecret {
        "f79ae8046bc11c9927afe911db7143c51a806c4a537cc08e0d37140b0192f430".parse().unwrap()
    }

    /// A token of any header and claims, signed as HS256 signs whatever its header says.
    fn signed(header: &str, claims: &str) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = secret().mac(message.as_bytes()).finalize().into_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn issued(iat: f64) -> String {
        secret().token(&JwtClaims { iat: Some(iat), exp: None })
    }

    #[test]
    fn header_is_what_it_says() {
        let json: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(HEADER).unwrap()).unwrap();
        assert_eq!(json, serde_json::json!({"alg": "HS256", "typ": "JWT"}));
    }

    #[test]
    fn accepts_within_a_minute_either_way() {
        for iat in [NOW - 60.0, NOW - 59.0, NOW, NOW + 0.5, NOW + 59.0, NOW + 60.0] {
            assert_eq!(secret().verify(&issued(iat), NOW), Ok(()), "{iat}");
        }
        // Other claims, a fraction in `iat` and an `exp` to come are fine.
        let claims =
            format!(r#"{{"id":"op-node","clv":"v1","iat":{}.25,"exp":{}}}"#, NOW, NOW + 9.);
        assert_eq!(secret().verify(&signed(r#"{"alg":"HS256"}"#, &claims), NOW), Ok(()));
        secret().authorize(Some(&secret().bearer())).unwrap();
    }

    #[test]
    fn refuses_with_the_words_of_geth() {
        let hs256 = r#"{"alg":"HS256","typ":"JWT"}"#;
        let fresh = format!(r#"{{"iat":{NOW}}}"#);
        let good = signed(hs256, &fresh);
        let (message, _) = good.rsplit_once('.').unwrap();
        let other = JwtSecret::random().token(&JwtClaims { iat: Some(NOW), exp: None });
        let table = [
            (issued(NOW - 61.0), "stale token"),
            (issued(0.0), "stale token"),
            (issued(NOW + 61.0), "future token"),
            (issued(f64::MAX), "future token"),
            (signed(hs256, "{}"), "missing issued-at"),
            (signed(hs256, &format!(r#"{{"iat":{NOW},"exp":{}}}"#, NOW - 1.0)), "token is expired"),
            (other, "signature is invalid"),
            (format!("{message}.AAAA"), "signature is invalid"),
            (format!("{message}."), "signature is invalid"),
            (signed(r#"{"alg":"none"}"#, &fresh), "signing method none is invalid"),
            (signed(r#"{"alg":"HS512"}"#, &fresh), "signing method HS512 is invalid"),
            (signed(r#"{"alg":"RS256"}"#, &fresh), "signing method RS256 is invalid"),
            (signed(r#"{"alg":"rot13"}"#, &fresh), "signing method (alg) is unavailable."),
            (signed(r#"{"typ":"JWT"}"#, &fresh), "signing method (alg) is unspecified."),
            ("a.b".into(), "token contains an invalid number of segments"),
            (format!("{good}.x"), "token contains an invalid number of segments"),
            ("x".repeat(MAX_TOKEN_LENGTH + 1), "token contains an invalid number of segments"),
            (format!("!{good}"), "illegal base64 data at input byte 0"),
        ];
        for (token, text) in table {
            let error = secret().verify(&token, NOW).unwrap_err();
            assert_eq!(error.to_string(), text, "{token}");
        }
        let not_json = secret().verify(&signed(hs256, "iat"), NOW).unwrap_err();
        assert!(matches!(not_json, JwtError::Json(_)));
        let not_a_number = secret().verify(&signed(hs256, r#"{"iat":"x"}"#), NOW).unwrap_err();
        assert!(matches!(not_a_number, JwtError::Json(_)));
    }

    #[test]
    fn needs_a_bearer_header() {
        let basic = secret().bearer().replace("Bearer", "Basic");
        for header in [None, Some(""), Some("Bearer "), Some(basic.as_str())] {
            assert_eq!(secret().authorize(header), Err(JwtError::MissingToken), "{header:?}");
        }
    }

    #[test]
    fn reads_secrets_as_they_are_written() {
        let digits = "f79ae8046bc11c9927afe911db7143c51a806c4a537cc08e0d37140b0192f430";
        for text in [digits.to_owned(), format!("0x{digits}\n"), format!("  0X{digits} ")] {
            assert_eq!(text.parse::<JwtSecret>().unwrap(), secret());
        }
        assert!(matches!("".parse::<JwtSecret>(), Err(JwtSecretError::Length(0))));
        assert!(matches!(digits[2..].parse::<JwtSecret>(), Err(JwtSecretError::Length(62))));
        assert!(matches!("zz".repeat(32).parse::<JwtSecret>(), Err(JwtSecretError::Hex(_))));
        assert_eq!(format!("{:?}", secret()), "JwtSecret(..)");
    }

    #[test]
    fn makes_a_private_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join("jwt.hex");
        assert!(matches!(JwtSecret::read(&path), Err(JwtSecretError::Read { .. })));
        let made = JwtSecret::read_or_create(&path).unwrap();
        assert_eq!(JwtSecret::read_or_create(&path).unwrap(), made);
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &fs::metadata(&path).unwrap().permissions(),
            );
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(&path, "not a secret").unwrap();
        assert!(matches!(JwtSecret::read_or_create(&path), Err(JwtSecretError::Length(12))));
    }
}
