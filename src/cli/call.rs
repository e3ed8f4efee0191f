//! `gemini-grpc call`: one call, shown as it comes.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prost::Message as _;
use tonic::Request;
use tonic::transport::Channel;

use super::endpoint::Endpoint;
use super::print::Printer;
use super::{Failure, block_on, client, output, rest};
use crate::config::{Key, MAX_FILE_BYTES, read_file};
use crate::gemini::json;
use crate::pb::gemini::{
    Content, GenerateContentRequest, GenerationConfig, ImageConfig, Part, ThinkingConfig, Tool, part,
};

#[derive(Debug, clap::Args)]
#[command(mut_arg("api_key", |arg| arg.help(client::KEY_HELP)))]
#[command(after_help = "\
Examples:
  gemini-grpc call 'Why is the sky blue?'
  gemini-grpc call --model gemini-2.5-flash-image --aspect-ratio 16:9 'a lighthouse at dawn'
  gemini-grpc call --model gemini-2.5-flash-image --image image-1.png 'the same at night'
  gemini-grpc call --rest 'Why is the sky blue?'
  git diff | gemini-grpc call --system 'Review this change.' -")]
pub(super) struct Args {
    /// What to say; `-` or nothing reads standard input.
    prompt: Vec<String>,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    key: Key,

    /// The model to ask.
    #[arg(long, default_value = "gemini-2.5-flash", value_name = "NAME")]
    model: String,

    /// A picture to send along; may be given several times.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,

    /// The folder for pictures that come.
    #[arg(long, default_value = ".", value_name = "DIR")]
    save: PathBuf,

    /// A system instruction.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    /// A file with tools in Gemini's JSON: a tool, a list of tools, or a list of function declarations.
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,

    /// The shape of a picture, such as 16:9.
    #[arg(long, value_name = "RATIO")]
    aspect_ratio: Option<String>,

    /// The size of a picture: 1K, 2K or 4K; some models take 512.
    #[arg(long, value_name = "SIZE")]
    image_size: Option<String>,

    /// How freely to choose, from 0 to 2.
    #[arg(long, value_name = "NUMBER")]
    temperature: Option<f32>,

    /// The most tokens to answer with.
    #[arg(long, value_name = "NUMBER")]
    max_output_tokens: Option<i32>,

    /// Ask the model for its thoughts, and show them; pictures among them are saved as thought-1.png and so on.
    #[arg(long)]
    thoughts: bool,

    /// Call over REST instead of gRPC; the output is the same.
    #[arg(long)]
    rest: bool,

    /// Wait for the whole answer instead of streaming it.
    #[arg(long)]
    unary: bool,

    /// Print each message as JSON, one a line, and nothing else.
    #[arg(long)]
    json: bool,

    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let message = message(&args)?;
    let key = args.key.for_client().map_err(|error| Failure::Usage(error.to_string()))?;
    let timeout = args.timeout.map(Duration::from_secs);
    block_on(async {
        let mut printer = Printer::new(args.json, &args.save, "image", args.thoughts);
        let request_id = if args.rest {
            let request = rest::request(&args.endpoint, &message, key.as_ref(), timeout, args.unary)?;
            rest::make(&args.endpoint, request, &mut printer).await?
        } else {
            let channel = args.endpoint.connect().await?;
            let mut request = client::with_key(message, key.as_ref());
            if let Some(timeout) = timeout {
                request.set_timeout(timeout);
            }
            make(&args.endpoint, channel, request, args.unary, &mut printer).await?
        };
        printer.end_line()?;
        output::note(format_args!("{}\n", printer.summary(&request_id)));
        Ok(())
    })?
}

/// Makes a call over gRPC and shows its answer; returns the request id.
pub(super) async fn make(
    endpoint: &Endpoint,
    channel: Channel,
    request: Request<GenerateContentRequest>,
    unary: bool,
    printer: &mut Printer,
) -> Result<String, Failure> {
    let mut client = client::generative(channel);
    if unary {
        return match client::patiently(client.generate_content(request)).await {
            Ok(answer) => {
                printer.message(answer.get_ref())?;
                Ok(client::request_id(answer.metadata().as_ref()))
            }
            Err(status) => Err(endpoint.failed(&status).await),
        };
    }
    let answer = match client::patiently(client.stream_generate_content(request)).await {
        Ok(answer) => answer,
        Err(status) => return Err(endpoint.failed(&status).await),
    };
    let request_id = client::request_id(answer.metadata().as_ref());
    let mut stream = answer.into_inner();
    loop {
        match stream.message().await {
            Ok(Some(message)) => printer.message(&message)?,
            Ok(None) => return Ok(request_id),
            Err(status) => {
                printer.end_line()?;
                return Err(endpoint.failed(&status).await);
            }
        }
    }
}

fn message(args: &Args) -> Result<GenerateContentRequest, Failure> {
    let pictures = args.image.iter().map(|path| client::picture(path)).collect::<Result<_, _>>()?;
    let text_part = |text: &str| Part { data: Some(part::Data::Text(text.to_owned())), ..Default::default() };
    let system = args.system.as_deref().map(|text| Content { parts: vec![text_part(text)], ..Default::default() });
    let image_config = (args.aspect_ratio.is_some() || args.image_size.is_some()).then(|| ImageConfig {
        aspect_ratio: args.aspect_ratio.clone(),
        image_size: args.image_size.clone(),
        ..Default::default()
    });
    Ok(GenerateContentRequest {
        model: args.model.clone(),
        contents: vec![client::prompt(&prompt(&args.prompt)?, pictures)],
        system_instruction: system,
        tools: args.tools.as_deref().map(tools).transpose()?.unwrap_or_default(),
        generation_config: Some(GenerationConfig {
            temperature: args.temperature,
            max_output_tokens: args.max_output_tokens,
            image_config,
            thinking_config: args
                .thoughts
                .then(|| ThinkingConfig { include_thoughts: Some(true), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn prompt(words: &[String]) -> Result<String, Failure> {
    if !words.is_empty() && words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| Failure::Run(format!("cannot read standard input: {error}")))?;
    match text.trim() {
        "" => Err(Failure::Usage("a prompt is required, as arguments or on standard input".to_owned())),
        text => Ok(text.to_owned()),
    }
}

/// Tools from a file, in any of the forms in which people have them.
fn tools(path: &Path) -> Result<Vec<Tool>, Failure> {
    let fault = |what: String| Failure::Usage(format!("--tools: {}: {what}", path.display()));
    let text = read_file(path, MAX_FILE_BYTES).map_err(|error| fault(error.to_string()))?;
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
    let given = match value {
        serde_json::Value::Array(items) if items.iter().all(|item| item.get("name").is_some()) => {
            vec![serde_json::json!({"functionDeclarations": items})]
        }
        serde_json::Value::Array(items) => items,
        tool => vec![tool],
    };
    let read = |tool: serde_json::Value| {
        let wire = json::to_wire("mountsea.gemini.v1.Tool", tool.to_string().as_bytes())
            .map_err(|error| fault(error.to_string()))?;
        Tool::decode(&wire[..]).map_err(|error| fault(error.to_string()))
    };
    given.into_iter().map(read).collect()
}
