//! The flags of upstream: its URL, protocol and retries.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::Error;
use super::value::seconds;
use crate::gemini::method::Method;
use crate::upstream;

/// The flags of upstream.
#[derive(Args, Clone, Debug)]
pub struct Upstream {
    /// The Gemini REST API to forward to; `/v1beta/models/…` is added.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_URL",
        default_value = "https://api.mountsea.ai/gemini",
        value_name = "URL"
    )]
    pub upstream_url: String,

    /// How the key is sent upstream.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_AUTH",
        value_enum,
        default_value_t = KeyHeader::Bearer,
        value_name = "HEADER"
    )]
    pub upstream_auth: KeyHeader,

    /// The HTTP version towards upstream: a connection for each call at once, few that calls share (h2c if the URL is
    /// http), or what upstream chooses by ALPN.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_HTTP",
        value_enum,
        default_value_t = Http::Http1,
        value_name = "VERSION"
    )]
    pub upstream_http: Http,

    /// The methods that upstream has in addition to generating content, separated by commas. Others are UNIMPLEMENTED,
    /// except that without `models` the catalogue lists the models.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_METHODS",
        value_enum,
        value_delimiter = ',',
        value_name = "METHODS"
    )]
    pub upstream_methods: Vec<UpstreamMethod>,

    /// How long connecting to upstream may take, in seconds.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_CONNECT_TIMEOUT",
        default_value = "5",
        value_parser = seconds,
        value_name = "SECONDS"
    )]
    pub connect_timeout: Duration,

    /// How often a call is tried again, at most, if upstream did not take it.
    #[arg(long, help_heading = "Upstream", env = "GEMINI_GRPC_RETRIES", default_value_t = 2, value_name = "NUMBER")]
    pub retries: u32,

    /// Reach upstream through the proxy that HTTPS_PROXY and similar variables name.
    #[arg(
        long,
        help_heading = "Upstream",
        env = "GEMINI_GRPC_UPSTREAM_PROXY",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true",
        default_value_t = false,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub upstream_proxy: bool,
}

/// The header that carries the key upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`, as Mountsea expects it.
    Bearer,
    /// `x-goog-api-key: KEY`, as Google expects it.
    XGoogApiKey,
}

/// The HTTP version towards upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Http {
    #[value(name = "1")]
    Http1,
    #[value(name = "2")]
    Http2,
    Auto,
}

/// What some upstreams have in addition to generating content, under its name in REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub enum UpstreamMethod {
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
    /// The list of models, and each of them.
    Models,
}

impl UpstreamMethod {
    fn methods(self) -> &'static [Method] {
        match self {
            Self::CountTokens => &[Method::CountTokens],
            Self::EmbedContent => &[Method::EmbedContent],
            Self::BatchEmbedContents => &[Method::BatchEmbedContents],
            Self::Models => &[Method::ListModels, Method::GetModel],
        }
    }
}

impl Upstream {
    /// The methods that upstream has in addition to those that generate content.
    pub(super) fn methods(&self) -> Vec<Method> {
        self.upstream_methods.iter().flat_map(|method| method.methods()).copied().collect()
    }

    pub(super) fn resolve(
        &self,
        max_response_bytes: usize,
        tls: upstream::ClientTls,
    ) -> Result<upstream::Config, Error> {
        Ok(upstream::Config {
            base: upstream::BaseUrl::parse(&self.upstream_url).ok_or(Error::UpstreamUrl)?,
            key_header: match self.upstream_auth {
                KeyHeader::Bearer => upstream::KeyHeader::Bearer,
                KeyHeader::XGoogApiKey => upstream::KeyHeader::XGoogApiKey,
            },
            http: match self.upstream_http {
                Http::Http1 => upstream::HttpVersion::Http1,
                Http::Http2 => upstream::HttpVersion::Http2,
                Http::Auto => upstream::HttpVersion::Auto,
            },
            connect_timeout: self.connect_timeout,
            system_proxy: self.upstream_proxy,
            max_response_bytes,
            retries: self.retries,
            tls,
        })
    }
}
