//! The third-party developer's side of a data portability API: Portward's, and any other that speaks TikTok's wire.
//!
//! One [`Client`] is one app at one server. It sends a person to the consent page, trades the code for tokens, asks for
//! data, waits until the archive is there and downloads it, picking up where a broken connection left off.
//!
//! ```no_run
//! use portward_client::{Client, DataFormat, Pkce, random_state};
//! use std::{path::Path, time::Duration};
//!
//! # async fn journey() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Client::new("https://data.example.com", "client key", "client secret")?;
//!
//! // Send the person here, and keep `state` and `pkce` with their session.
//! let (state, pkce) = (random_state(), Pkce::random());
//! let redirect_uri = "https://app.example.org/callback";
//! let address = app.authorize_url(&["user.info.basic", "portability.all.single"], redirect_uri, &state, Some(&pkce));
//! println!("open {address}");
//!
//! // They come back to `redirect_uri` with a query; what they allowed may be less than what was asked for.
//! let callback = portward_client::parse_callback("code=abc&scopes=user.info.basic&state=xyz", &state)?;
//! let tokens = app.exchange(&callback.code, redirect_uri, Some(&pkce)).await?;
//!
//! // Ask, wait, download.
//! let id = app.add(&tokens.access_token, DataFormat::Json, &["all_data"]).await?;
//! app.wait(&tokens.access_token, id, Duration::from_secs(3600)).await?;
//! let archive = app.download(&tokens.access_token, id, Path::new("archive.zip")).await?;
//! println!("{} bytes, SHA-256 {}", archive.bytes, archive.sha256);
//! # Ok(())
//! # }
//! ```
//!
//! Instead of waiting, an app can be told: see [`webhook`]. What is in an archive of NDJSON or CSV is read by [`rows`].

mod calls;
mod download;
mod error;
mod oauth;
mod random;
pub mod rows;
mod setup;
mod wait;
pub mod webhook;

pub use download::Downloaded;
pub use error::{Dialect, Error, Refusal};
pub use oauth::{Callback, CallbackError, Pkce, parse_callback};
pub use random::random_state;
pub use setup::{Client, ClientBuilder, install_crypto};
pub use wire::{Checked, ClientTokenAnswer, DataFormat, ErrorCode, OAuthErrorCode, RequestId, RequestStatus, TokenAnswer};

/// The guide's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/client.md")]
struct Guide;
