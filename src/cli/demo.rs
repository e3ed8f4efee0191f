//! `gemini-grpc demo`: starts sandbox and gateway and makes calls, in one command.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as _, FromArgMatches as _};
use tonic::Code;
use tonic::transport::Channel;

use super::endpoint::Endpoint;
use super::print::{Printer, bold};
use super::sandbox::InProcess;
use super::{Failure, block_on, call, client, environment, output};
use crate::config::{self, Key};
use crate::gateway::ApiKey;
use crate::pb::gemini::{Blob, GenerateContentRequest, GenerationConfig, ImageConfig};
use crate::server::Server;
use crate::telemetry::Telemetry;

const TEXT_MODEL: &str = "gemini-2.5-flash";
const IMAGE_MODEL: &str = "gemini-2.5-flash-image";

#[derive(Debug, clap::Args)]
#[command(mut_arg("api_key", |arg| arg.help(client::KEY_HELP)))]
#[command(after_help = "\
Examples:
  gemini-grpc demo
  gemini-grpc demo --serve
  MOUNTSEA_API_KEY=... gemini-grpc demo --live --dir pictures")]
pub(super) struct Args {
    /// The folder for the pictures.
    #[arg(long, default_value = "gemini-grpc-demo", value_name = "DIR")]
    dir: PathBuf,

    /// Talk to Mountsea with your key, instead of to the sandbox. Upstream charges for it.
    #[arg(long)]
    live: bool,

    /// Keep the gateway after the calls, with a page to try it in a browser, until Ctrl-C.
    #[arg(long)]
    serve: bool,

    #[command(flatten)]
    key: Key,
}

/// The connection and settings that every step uses.
struct Demo {
    channel: Channel,
    key: Option<ApiKey>,
    dir: PathBuf,
    endpoint: Endpoint,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let key = args.key.for_client().map_err(|error| Failure::Usage(error.to_string()))?;
    if args.live && key.is_none() {
        return Err(Failure::Usage("--live: a key is required; set MOUNTSEA_API_KEY".to_owned()));
    }
    let address = start_gateway(args.live)?;
    block_on(async {
        let endpoint = Endpoint::plaintext(format!("http://{address}"));
        let channel = endpoint.connect().await?;
        let demo = Demo { channel, key: key.filter(|_| args.live), dir: args.dir.clone(), endpoint };
        demo.text().await?;
        let first = demo.picture().await?;
        demo.edit(&first).await?;
        demo.refusal().await?;
        output::line(format_args!("\n{}", bold("All four went as they should.")))?;
        if args.serve {
            output::line(format_args!("A page to try it: http://{address}/ (Ctrl-C ends it)"))?;
            let _ = tokio::signal::ctrl_c().await;
            return Ok(());
        }
        output::line("Go on in a browser with `gemini-grpc demo --serve`, or with `gemini-grpc serve --sandbox`,")?;
        output::line("and `gemini-grpc call 'hello'` in another terminal.")
    })?
}

/// Starts a gateway on a free loopback port, for as long as the process lives.
fn start_gateway(live: bool) -> Result<SocketAddr, Failure> {
    let definition = config::Serve::augment_args(clap::Command::new("serve").no_binary_name(true));
    let matches = definition.clone().try_get_matches_from(std::iter::empty::<&str>());
    let serve = matches.and_then(|matches| config::Serve::from_arg_matches(&matches));
    let mut serve = serve.map_err(|error| {
        let explained = environment::explain(&definition, &error);
        Failure::Usage(explained.unwrap_or_else(|| error.to_string().replacen("error: ", "", 1)))
    })?;
    serve.serving.listen = (Ipv4Addr::LOCALHOST, 0).into();
    // The demo's calls bring no token; its gateway serves them only.
    (serve.callers.auth, serve.callers.callers) = (config::AuthMode::Forward, None);
    // No load balancer routes calls here, so none has to notice the end first.
    serve.drain.drain_delay = Duration::ZERO;
    let mut config = serve.resolve().map_err(|error| Failure::Usage(error.to_string()))?;
    // The certificate of a real gateway is not valid for loopback.
    config.tls = None;
    config.playground = true;
    if live {
        output::line(format_args!("Gateway to {}; upstream charges for these calls.", config.upstream.base))?;
    } else {
        let sandbox = InProcess::start()?;
        output::line(format_args!("Sandbox at {} (no model is asked)", sandbox.url()))?;
        sandbox.use_in(&mut config);
    }
    let server = Server::bind(&config, &Telemetry::default(), None).map_err(|error| Failure::Run(error.to_string()))?;
    let address = server.address();
    output::line(format_args!("Gateway at {address}, gRPC in plaintext"))?;
    std::thread::spawn(move || server.run());
    Ok(address)
}

impl Demo {
    /// Prints what comes next, and the command that does the same.
    fn heading(&self, title: &str, arguments: &str) -> Result<(), Failure> {
        output::line(format_args!("\n{}", bold(title)))?;
        output::line(format_args!("   gemini-grpc call --endpoint {} {arguments}\n", self.endpoint.url))
    }

    async fn make(&self, message: GenerateContentRequest, name: &'static str) -> Result<Printer, Failure> {
        let mut printer = Printer::new(false, &self.dir, name, false);
        let request = client::with_key(message, self.key.as_ref());
        let request_id = call::make(&self.endpoint, self.channel.clone(), request, false, &mut printer).await?;
        printer.end_line()?;
        output::line(format_args!("   {}", printer.summary(&request_id)))?;
        Ok(printer)
    }

    async fn text(&self) -> Result<(), Failure> {
        let prompt = "Say in two sentences what a gateway is for.";
        self.heading("1. A text, streamed word by word", &format!("'{prompt}'"))?;
        let printer = self.make(request(TEXT_MODEL, prompt, Vec::new()), "text").await?;
        expect(!printer.text.is_empty(), "the first answer should hold text")
    }

    async fn picture(&self) -> Result<PathBuf, Failure> {
        let prompt = "a lighthouse at dawn";
        self.heading("2. A picture", &format!("--model {IMAGE_MODEL} --aspect-ratio 16:9 '{prompt}'"))?;
        let message = GenerateContentRequest {
            generation_config: Some(shape("16:9")),
            ..request(IMAGE_MODEL, prompt, Vec::new())
        };
        let printer = self.make(message, "picture").await?;
        let path = printer.saved.first().cloned();
        let path = path.ok_or_else(|| Failure::Run("the second answer should hold a picture".to_owned()))?;
        let (width, height) = dimensions(&path)?;
        // Models round; the sandbox does not.
        expect(width * 9 > height * 15 && width * 9 < height * 17, "the picture should be about 16:9")?;
        Ok(path)
    }

    async fn edit(&self, first: &Path) -> Result<(), Failure> {
        let prompt = "the same at night";
        self.heading(
            "3. That picture, changed",
            &format!("--model {IMAGE_MODEL} --image {} '{prompt}'", first.display()),
        )?;
        let before = client::picture(first)?;
        let printer = self.make(request(IMAGE_MODEL, prompt, vec![before.clone()]), "edited").await?;
        let path = printer.saved.first();
        let path = path.ok_or_else(|| Failure::Run("the third answer should hold a picture".to_owned()))?;
        expect(client::picture(path)?.data != before.data, "the picture should have changed")?;
        let (width, height) = dimensions(path)?;
        expect(width > 0 && height > 0, "the changed picture should be one")
    }

    async fn refusal(&self) -> Result<(), Failure> {
        // No command can send it: `call` reads its pictures from files.
        let title = "4. A request with three wrong settings and a data: URL: refused at once, nothing is sent";
        output::line(format_args!("\n{}\n", bold(title)))?;
        let wrong =
            Blob { mime_type: "image/png".to_owned(), data: "data:image/png;base64,AAAA".into(), ..Default::default() };
        let config = GenerationConfig { temperature: Some(3.0), ..shape("7:3") };
        let image_config = config.image_config.map(|image| ImageConfig { image_size: Some("4K".to_owned()), ..image });
        let config = GenerationConfig { image_config, ..config };
        let message =
            GenerateContentRequest { generation_config: Some(config), ..request(IMAGE_MODEL, "x", vec![wrong]) };
        let request = client::with_key(message, self.key.as_ref());
        let Err(status) = client::generative(self.channel.clone()).generate_content(request).await else {
            return Err(Failure::Run("the fourth call should have been refused".to_owned()));
        };
        let shown = client::explain(&status);
        output::line(&shown)?;
        expect(status.code() == Code::InvalidArgument, "the fourth call should be refused as INVALID_ARGUMENT")?;
        let fields = ["inline_data.data: ", "temperature: ", "aspect_ratio: ", "image_size: "];
        expect(fields.iter().all(|field| shown.contains(field)), "all four violations should be shown")
    }
}

fn request(model: &str, prompt: &str, pictures: Vec<Blob>) -> GenerateContentRequest {
    GenerateContentRequest {
        model: model.to_owned(),
        contents: vec![client::prompt(prompt, pictures)],
        ..Default::default()
    }
}

fn shape(ratio: &str) -> GenerationConfig {
    let image_config = ImageConfig { aspect_ratio: Some(ratio.to_owned()), ..Default::default() };
    GenerationConfig { image_config: Some(image_config), ..Default::default() }
}

fn dimensions(path: &Path) -> Result<(usize, usize), Failure> {
    let size =
        imagesize::size(path).map_err(|error| Failure::Run(format!("{} is no picture: {error}", path.display())))?;
    Ok((size.width, size.height))
}

fn expect(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Run(what.to_owned())) }
}
