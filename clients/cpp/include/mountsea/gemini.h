// A client for gemini-grpc: a connection from an endpoint and a key, and errors explained. The messages and stubs of the
// contract are in the namespace mountsea::gemini::v1.
#pragma once

#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_interceptor.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "mountsea/gemini/v1/generative_service.grpc.pb.h"
#include "mountsea/gemini/v1/model_service.grpc.pb.h"
#include "mountsea/service_config.h"

namespace mountsea::gemini {

// The largest message in bytes that is received: a picture may be larger than gRPC's default of 4 MiB, and a response that
// the client rejects is billed all the same.
inline constexpr int kMaxMessageBytes = 64 << 20;

namespace internal {

// Sends the key as metadata. Unlike call credentials it works in plaintext, too.
class KeySender final : public grpc::experimental::Interceptor {
 public:
  explicit KeySender(const std::string& key) : key_(key) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA))
      methods->GetSendInitialMetadata()->emplace("x-goog-api-key", key_);
    methods->Proceed();
  }

 private:
  const std::string& key_;
};

class KeySenderFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit KeySenderFactory(std::string key) : key_(std::move(key)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo*) override {
    return new KeySender(key_);
  }

 private:
  const std::string key_;
};

inline bool IsLoopback(const std::string& address) {
  const auto host = address.substr(0, address.rfind(':'));
  return host == "localhost" || host.rfind("127.", 0) == 0 || host == "[::1]";
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace internal

// A channel, and stubs that use it.
struct Connection {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::GenerativeService::Stub> generative;
  std::unique_ptr<v1::ModelService::Stub> models;
};

// Connects to the gateway at HOST:PORT, or at a URL with the scheme http or https, and sends the key with each call. Without
// a scheme it uses TLS if there is a CA, or if the host is not loopback. `ca_file` is a file of certificates in PEM; without
// it the system's authorities are trusted. Throws std::runtime_error if the file cannot be read.
inline Connection Connect(const std::string& endpoint, const std::string& key, const std::string& ca_file = "") {
  const auto end = endpoint.find("://");
  const auto address = end == std::string::npos ? endpoint : endpoint.substr(end + 3);
  const bool secure = end == std::string::npos ? !ca_file.empty() || !internal::IsLoopback(address)
                                               : endpoint.substr(0, end) == "https";
  grpc::SslCredentialsOptions tls;
  if (!ca_file.empty()) tls.pem_root_certs = internal::ReadFile(ca_file);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetServiceConfigJSON(kServiceConfig);
  // A larger request is not retried.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, kMaxMessageBytes);
  // Only while calls are open: a connection without any may be closed by the gateway.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<internal::KeySenderFactory>(key));
  auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
      address, secure ? grpc::SslCredentials(tls) : grpc::InsecureChannelCredentials(), arguments, std::move(interceptors));
  return {channel, v1::GenerativeService::NewStub(channel), v1::ModelService::NewStub(channel)};
}

// The name of a code as the gRPC specification has it.
inline std::string CodeName(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
      "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
      "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
  return code >= 0 && code < 17 ? kNames[code] : "UNKNOWN";
}

// An error of a call, explained. docs/errors.md of the gateway lists the reasons.
struct Failure {
  std::string code;
  // Stable, for programs, such as REQUEST_INVALID. Empty if the error does not come from the gateway.
  std::string reason;
  // Each field of the request that breaks a rule, and the rule.
  std::vector<google::rpc::BadRequest::FieldViolation> violations;
  // How long to wait before a retry, if one may help.
  std::optional<std::chrono::duration<double>> retry_delay;
  // To quote to support. Empty if the error does not come from the gateway.
  std::string request_id;
};

// Reads the details of an error.
inline Failure Explain(const grpc::Status& status) {
  Failure failure;
  failure.code = CodeName(status.error_code());
  google::rpc::Status rich;
  rich.ParseFromString(status.error_details());
  for (const auto& detail : rich.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest request;
    google::rpc::RetryInfo retry;
    google::rpc::RequestInfo id;
    if (detail.UnpackTo(&info)) failure.reason = info.reason();
    if (detail.UnpackTo(&request)) failure.violations = {request.field_violations().begin(), request.field_violations().end()};
    if (detail.UnpackTo(&id)) failure.request_id = id.request_id();
    if (detail.UnpackTo(&retry)) {
      const auto& delay = retry.retry_delay();
      failure.retry_delay = std::chrono::seconds(delay.seconds()) + std::chrono::nanoseconds(delay.nanos());
    }
  }
  return failure;
}

}  // namespace mountsea::gemini
