// Calls the gateway at the given address, with the client that was generated for C++.
#include <iostream>

#include <grpcpp/grpcpp.h>

#include "mountsea/gemini/v1/generative_service.grpc.pb.h"

namespace gemini = mountsea::gemini::v1;

gemini::GenerateContentRequest NewRequest(const std::string& text) {
  gemini::GenerateContentRequest request;
  request.set_model("gemini-2.5-flash");
  auto* content = request.add_contents();
  content->set_role("user");
  content->add_parts()->set_text(text);
  return request;
}

std::string Text(const gemini::GenerateContentResponse& answer) {
  return answer.candidates(0).content().parts(0).text();
}

int main(int, char** arguments) {
  auto stub = gemini::GenerativeService::NewStub(
      grpc::CreateChannel(arguments[1], grpc::InsecureChannelCredentials()));
  gemini::GenerateContentResponse answer;
  {
    grpc::ClientContext context;
    auto status = stub->GenerateContent(&context, NewRequest("Why is the sky blue?"), &answer);
    if (!status.ok()) return std::cerr << status.error_message() << std::endl, 1;
    std::cout << "answer: " << Text(answer) << std::endl;
  }
  {
    grpc::ClientContext context;
    auto stream = stub->StreamGenerateContent(&context, NewRequest("Why is the sky blue?"));
    std::cout << "stream: ";
    while (stream->Read(&answer)) std::cout << Text(answer);
    std::cout << std::endl;
    auto status = stream->Finish();
    if (!status.ok()) return std::cerr << status.error_message() << std::endl, 1;
  }
  gemini::GenerateContentRequest empty;
  empty.set_model("gemini-2.5-flash");
  grpc::ClientContext context;
  auto status = stub->GenerateContent(&context, empty, &answer);
  std::cout << "refused: " << status.error_code() << " " << status.error_message() << std::endl;
}
