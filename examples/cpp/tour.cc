// What a program does with the gateway, in C++: `tour ENDPOINT KEY [CA_FILE]`.
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "mountsea/gemini.h"

namespace gemini = mountsea::gemini;
using namespace mountsea::gemini::v1;
using namespace std::chrono_literals;
using Stub = GenerativeService::Stub;

const std::string kTextModel = "gemini-2.5-flash";
const std::string kPictureModel = "gemini-3-pro-image-preview";

GenerateContentRequest Ask(const std::string& text, const std::string& model = kTextModel) {
  GenerateContentRequest request;
  request.set_model(model);
  auto* content = request.add_contents();
  content->set_role("user");
  content->add_parts()->set_text(text);
  return request;
}

GenerateContentResponse Generate(Stub& stub, const GenerateContentRequest& request) {
  grpc::ClientContext context;
  GenerateContentResponse answer;
  const auto status = stub.GenerateContent(&context, request, &answer);
  if (!status.ok()) throw std::runtime_error(status.error_message());
  return answer;
}

std::string TextOf(const GenerateContentResponse& answer) {
  std::string text;
  // Some models send their thoughts, too.
  for (const auto& part : answer.candidates(0).content().parts())
    if (!part.thought()) text += part.text();
  return text;
}

void Text(Stub& stub) {
  std::cout << "text: " << TextOf(Generate(stub, Ask("Why is the sky blue?"))) << std::endl;
}

void Stream(Stub& stub) {
  grpc::ClientContext context;
  const auto stream = stub.StreamGenerateContent(&context, Ask("Why is the sky blue?"));
  std::cout << "stream: ";
  GenerateContentResponse piece;
  while (stream->Read(&piece)) std::cout << TextOf(piece) << std::flush;
  const auto status = stream->Finish();
  if (!status.ok()) throw std::runtime_error(status.error_message());
  std::cout << std::endl;
}

void Save(const std::string& label, const std::string& file,
          const GenerateContentResponse& answer) {
  for (const auto& part : answer.candidates(0).content().parts()) {
    // Some models send drafts first, as thoughts.
    if (!part.has_inline_data() || part.thought()) continue;
    const auto& picture = part.inline_data();
    std::ofstream(file, std::ios::binary) << picture.data();
    std::cout << label << ": " << file << ", " << picture.mime_type() << ", "
              << picture.data().size() << " bytes" << std::endl;
    return;
  }
  throw std::runtime_error("the answer has no picture");
}

void Picture(Stub& stub) {
  auto request = Ask("a lighthouse at dawn", kPictureModel);
  request.mutable_generation_config()->mutable_image_config()->set_image_size("4K");
  Save("picture", "lighthouse.png", Generate(stub, request));
}

void Edit(Stub& stub) {
  auto request = Ask("at night", kPictureModel);
  auto* original = request.mutable_contents(0)->add_parts()->mutable_inline_data();
  original->set_mime_type("image/png");
  std::ifstream file("lighthouse.png", std::ios::binary);
  original->set_data({std::istreambuf_iterator<char>(file), {}});
  Save("edited", "lighthouse-night.png", Generate(stub, request));
}

FunctionCall CallIn(const GenerateContentResponse& answer) {
  for (const auto& part : answer.candidates(0).content().parts())
    if (part.has_function_call()) return part.function_call();
  throw std::runtime_error("the model did not call the function");
}

void ChatWithTool(Stub& stub) {
  auto chat = Ask("What is the weather in Oslo?");
  auto* get_weather = chat.add_tools()->add_function_declarations();
  get_weather->set_name("get_weather");
  get_weather->set_description("The weather in a city now.");
  auto* parameters = get_weather->mutable_parameters();
  parameters->set_type(OBJECT);
  (*parameters->mutable_properties())["city"].set_type(STRING);
  parameters->add_required("city");
  const auto answer = Generate(stub, chat);
  const auto call = CallIn(answer);
  std::cout << "tool: " << call.name() << std::endl;

  // The model's own message goes back as it came: its parts may have signatures.
  *chat.add_contents() = answer.candidates(0).content();
  auto* result = chat.add_contents();
  result->set_role("user");
  auto* response = result->add_parts()->mutable_function_response();
  response->set_id(call.id());
  response->set_name(call.name());
  (*response->mutable_response()->mutable_fields())["celsius"].set_number_value(7);
  std::cout << "tool answer: " << TextOf(Generate(stub, chat)) << std::endl;
}

void Deadline(Stub& stub) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 500ms);
  GenerateContentResponse answer;
  const auto status = stub.GenerateContent(&context, Ask("hello", "sandbox-hang"), &answer);
  std::cout << "deadline: " << gemini::Explain(status).code << std::endl;
}

void Cancel(Stub& stub) {
  grpc::ClientContext context;
  const auto stream = stub.StreamGenerateContent(&context, Ask("hello", "sandbox-hang-stream"));
  GenerateContentResponse piece;
  if (stream->Read(&piece)) context.TryCancel();
  while (stream->Read(&piece)) continue;
  std::cout << "cancel: " << gemini::Explain(stream->Finish()).code << std::endl;
}

gemini::Failure FailureOf(Stub& stub, const GenerateContentRequest& request) {
  grpc::ClientContext context;
  GenerateContentResponse answer;
  return gemini::Explain(stub.GenerateContent(&context, request, &answer));
}

void Refused(Stub& stub) {
  auto request = Ask("hello");
  request.mutable_generation_config()->set_temperature(3);
  request.mutable_generation_config()->set_top_p(2);
  const auto failure = FailureOf(stub, request);
  std::cout << "refused: " << failure.code << ", " << failure.reason << std::endl;
  for (const auto& violation : failure.violations)
    std::cout << "  " << violation.field() << ": " << violation.description() << std::endl;
  std::cout << "  request id: " << failure.request_id << std::endl;
}

void Busy(Stub& stub) {
  const auto failure = FailureOf(stub, Ask("hello", "sandbox-429"));
  std::cout << "busy: " << failure.code << ", " << failure.reason << ", retry in "
            << failure.retry_delay.value().count() << " s" << std::endl;
}

void Blocked(Stub& stub) {
  using Feedback = GenerateContentResponse::PromptFeedback;
  const auto answer = Generate(stub, Ask("hello", "sandbox-blocked"));
  const auto reason = answer.prompt_feedback().block_reason();
  std::cout << "blocked: " << Feedback::BlockReason_Name(reason) << std::endl;
}

void Usage(Stub& stub) {
  const auto usage = Generate(stub, Ask("Why is the sky blue?")).usage_metadata();
  std::cout << "usage: " << usage.prompt_token_count() << " tokens in, "
            << usage.candidates_token_count() << " tokens out" << std::endl;
}

int main(int count, char** arguments) try {
  if (count < 3) throw std::invalid_argument("usage: tour ENDPOINT KEY [CA_FILE]");
  const std::string ca_file = count > 3 ? arguments[3] : "";
  const auto connection = gemini::Connect(arguments[1], arguments[2], ca_file);
  const auto parts = {Text, Stream, Picture, Edit, ChatWithTool, Deadline, Cancel, Refused, Busy,
                      Blocked, Usage};
  for (const auto part : parts) part(*connection.generative);
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return 1;
}
