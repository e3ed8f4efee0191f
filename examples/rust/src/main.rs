//! What a program does with the gateway, in Rust: `cargo run -- ENDPOINT KEY [CA_FILE]`.

use std::error::Error;
use std::fs;
use std::io::{Write as _, stdout};
use std::path::Path;
use std::time::Duration;

use mountsea_gemini::prost_types::Struct;
use mountsea_gemini::tonic::{Request, Status};
use mountsea_gemini::v1::generative_service_client::GenerativeServiceClient;
use mountsea_gemini::v1::{
    Blob, Content, FunctionDeclaration, FunctionResponse, GenerateContentRequest,
    GenerateContentResponse, GenerationConfig, ImageConfig, Part, Schema, Tool, Type,
    generate_content_response::prompt_feedback::BlockReason, part::Data,
};
use mountsea_gemini::{Channel, code_name, connect, explain};

type Gemini = GenerativeServiceClient<Channel>;
type Done = Result<(), Box<dyn Error>>;

const TEXT_MODEL: &str = "gemini-2.5-flash";
const PICTURE_MODEL: &str = "gemini-3-pro-image-preview";

#[tokio::main]
async fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, key, ca @ ..] = &arguments[..] else {
        return Err("usage: tour ENDPOINT KEY [CA_FILE]".into());
    };
    let mut gemini = connect(endpoint, key, ca.first().map(Path::new))?.generative();
    text(&mut gemini).await?;
    stream(&mut gemini).await?;
    picture(&mut gemini).await?;
    edit(&mut gemini).await?;
    chat_with_tool(&mut gemini).await?;
    deadline(&mut gemini).await?;
    cancel(&mut gemini).await?;
    refused(&mut gemini).await?;
    busy(&mut gemini).await?;
    blocked(&mut gemini).await?;
    usage(&mut gemini).await
}

fn ask(model: &str, parts: impl Into<Vec<Part>>) -> GenerateContentRequest {
    GenerateContentRequest {
        model: model.into(),
        contents: vec![Content::user(parts)],
        ..Default::default()
    }
}

async fn generate(
    gemini: &mut Gemini,
    request: GenerateContentRequest,
) -> Result<GenerateContentResponse, Status> {
    Ok(gemini.generate_content(request).await?.into_inner())
}

async fn text(gemini: &mut Gemini) -> Done {
    let answer = generate(gemini, ask(TEXT_MODEL, ["Why is the sky blue?".into()])).await?;
    println!("text: {}", answer.text());
    Ok(())
}

async fn stream(gemini: &mut Gemini) -> Done {
    let request = ask(TEXT_MODEL, ["Why is the sky blue?".into()]);
    let mut pieces = gemini.stream_generate_content(request).await?.into_inner();
    print!("stream: ");
    while let Some(piece) = pieces.message().await? {
        print!("{}", piece.text());
        stdout().flush()?;
    }
    println!();
    Ok(())
}

async fn picture(gemini: &mut Gemini) -> Done {
    let mut request = ask(PICTURE_MODEL, ["a lighthouse at dawn".into()]);
    let image = ImageConfig { image_size: Some("4K".into()), ..Default::default() };
    request.generation_config =
        Some(GenerationConfig { image_config: Some(image), ..Default::default() });
    save("picture", "lighthouse.png", &generate(gemini, request).await?)
}

async fn edit(gemini: &mut Gemini) -> Done {
    let data = fs::read("lighthouse.png")?.into();
    let original =
        Data::InlineData(Blob { mime_type: "image/png".into(), data, ..Default::default() });
    let request = ask(PICTURE_MODEL, ["at night".into(), original.into()]);
    save("edited", "lighthouse-night.png", &generate(gemini, request).await?)
}

fn save(label: &str, file: &str, answer: &GenerateContentResponse) -> Done {
    // Some models send drafts first, as thoughts.
    let finished = answer.parts().filter(|part| !part.thought);
    let mut pictures = finished.filter_map(|part| match &part.data {
        Some(Data::InlineData(picture)) => Some(picture),
        _ => None,
    });
    let picture = pictures.next().ok_or("the answer has no picture")?;
    fs::write(file, &picture.data)?;
    println!("{label}: {file}, {}, {} bytes", picture.mime_type, picture.data.len());
    Ok(())
}

async fn chat_with_tool(gemini: &mut Gemini) -> Done {
    let city = Schema { r#type: Type::String.into(), ..Default::default() };
    let parameters = Schema {
        r#type: Type::Object.into(),
        properties: [("city".into(), city)].into(),
        required: vec!["city".into()],
        ..Default::default()
    };
    let get_weather = FunctionDeclaration {
        name: "get_weather".into(),
        description: "The weather in a city now.".into(),
        parameters: Some(parameters),
        ..Default::default()
    };
    let mut chat = ask(TEXT_MODEL, ["What is the weather in Oslo?".into()]);
    chat.tools = vec![Tool { function_declarations: vec![get_weather], ..Default::default() }];
    let answer = generate(gemini, chat.clone()).await?;
    let mut calls = answer.parts().filter_map(|part| match &part.data {
        Some(Data::FunctionCall(call)) => Some(call),
        _ => None,
    });
    let call = calls.next().ok_or("the model did not call the function")?;
    println!("tool: {}", call.name);

    // The model's own message goes back as it came: its parts may have signatures.
    chat.contents.extend(answer.candidates[0].content.clone());
    let result = [("celsius".into(), 7.0.into())].into();
    let response = FunctionResponse {
        id: call.id.clone(),
        name: call.name.clone(),
        response: Some(Struct { fields: result }),
        ..Default::default()
    };
    chat.contents.push(Content::user([Data::FunctionResponse(response).into()]));
    println!("tool answer: {}", generate(gemini, chat).await?.text());
    Ok(())
}

async fn deadline(gemini: &mut Gemini) -> Done {
    let mut request = Request::new(ask("sandbox-hang", ["hello".into()]));
    request.set_timeout(Duration::from_millis(500));
    let error = failure(gemini.generate_content(request).await)?;
    println!("deadline: {}", code_name(error.code()));
    Ok(())
}

async fn cancel(gemini: &mut Gemini) -> Done {
    let request = ask("sandbox-hang-stream", ["hello".into()]);
    let mut pieces = gemini.stream_generate_content(request).await?.into_inner();
    pieces.message().await?.ok_or("the stream is empty")?;
    // Dropping the stream, or the future of a unary call, cancels the call. Nothing is left that could
    // report it.
    drop(pieces);
    println!("cancel: CANCELLED");
    Ok(())
}

async fn refused(gemini: &mut Gemini) -> Done {
    let mut request = ask(TEXT_MODEL, ["hello".into()]);
    request.generation_config =
        Some(GenerationConfig { temperature: Some(3.0), top_p: Some(2.0), ..Default::default() });
    let error = explain(&failure(gemini.generate_content(request).await)?);
    println!("refused: {}, {}", code_name(error.code), error.reason);
    for violation in error.violations {
        println!("  {}: {}", violation.field, violation.description);
    }
    println!("  request id: {}", error.request_id);
    Ok(())
}

async fn busy(gemini: &mut Gemini) -> Done {
    let request = ask("sandbox-429", ["hello".into()]);
    let error = explain(&failure(gemini.generate_content(request).await)?);
    let delay = error.retry_delay.ok_or("the error names no delay")?.as_secs_f64();
    println!("busy: {}, {}, retry in {delay} s", code_name(error.code), error.reason);
    Ok(())
}

async fn blocked(gemini: &mut Gemini) -> Done {
    let answer = generate(gemini, ask("sandbox-blocked", ["hello".into()])).await?;
    let reason = answer.prompt_feedback.ok_or("the prompt is not blocked")?.block_reason();
    println!("blocked: {}", BlockReason::as_str_name(&reason));
    Ok(())
}

async fn usage(gemini: &mut Gemini) -> Done {
    let answer = generate(gemini, ask(TEXT_MODEL, ["Why is the sky blue?".into()])).await?;
    let usage = answer.usage_metadata.ok_or("the answer has no usage")?;
    let (input, output) = (usage.prompt_token_count, usage.candidates_token_count);
    println!("usage: {input} tokens in, {output} tokens out");
    Ok(())
}

/// The error of a call that must fail.
fn failure<T>(result: Result<T, Status>) -> Result<Status, Box<dyn Error>> {
    result.err().ok_or_else(|| "the call was expected to fail".into())
}
