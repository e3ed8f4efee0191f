require 'ipaddr'

require 'google/protobuf/well_known_types'
require 'google/rpc/error_details_pb'
require 'google/rpc/status_pb'
require 'grpc'

require 'mountsea/gemini/v1/generative_service_services_pb'
require 'mountsea/gemini/v1/model_service_services_pb'

module Mountsea
  # A client for gemini-grpc. The messages and stubs of its contract are in Mountsea::Gemini::V1.
  module Gemini
    # The largest message in bytes that is received: a picture may be larger than gRPC's default of 4 MiB, and a response
    # that the client rejects is billed all the same.
    MAX_MESSAGE_BYTES = 64 << 20

    CHANNEL_ARGS = {
      'grpc.max_receive_message_length' => MAX_MESSAGE_BYTES,
      # A larger request is not retried.
      'grpc.per_rpc_retry_buffer_size' => MAX_MESSAGE_BYTES,
      # Only while calls are open: a connection without any may be closed by the gateway.
      'grpc.keepalive_time_ms' => 30_000,
      'grpc.keepalive_timeout_ms' => 20_000,
      'grpc.keepalive_permit_without_calls' => 0,
      # Retries of UNAVAILABLE, unless the gateway says that a retry is of no use.
      'grpc.service_config' => File.read(File.join(__dir__, 'gemini/service_config.json'))
    }.freeze

    # A channel, which both stubs use.
    Connection = Struct.new(:generative, :models)

    # Connects to the gateway at `HOST:PORT`, or at a URL with the scheme `http` or `https`, and sends the key with each call.
    #
    # Without a scheme it uses TLS if there is a CA, or if the host is not loopback. Without a CA it trusts the authorities
    # that gRPC trusts.
    #
    # @param endpoint [String]
    # @param key [String]
    # @param ca_file [String, nil] certificates in PEM
    # @param interceptors [Array<GRPC::ClientInterceptor>] such as that of OpenTelemetry
    # @return [Connection]
    def self.connect(endpoint, key, ca_file: nil, interceptors: [])
      scheme, address = endpoint.include?('://') ? endpoint.delete_suffix('/').split('://', 2) : [nil, endpoint]
      secure = scheme ? scheme == 'https' : ca_file || !loopback?(address)
      credentials = secure ? GRPC::Core::ChannelCredentials.new(ca_file && File.read(ca_file)) : :this_channel_is_insecure
      channel = GRPC::ClientStub.setup_channel(nil, address, credentials, CHANNEL_ARGS.dup)
      stubs = [V1::GenerativeService, V1::ModelService].map do |service|
        stub = service::Stub.new(address, nil, channel_override: channel, interceptors: interceptors)
        stub.extend(KeySender.new(key))
      end
      Connection.new(*stubs)
    end

    def self.loopback?(address)
      host = address[/\A\[(.*)\]/, 1] || address.split(':').first
      host == 'localhost' || IPAddr.new(host).loopback?
    rescue IPAddr::Error
      false
    end
    private_class_method :loopback?

    # What an error says: the name of its code; a reason for programs; each field that breaks a rule, with `field` and
    # `description`; seconds to wait before a retry, or nil if none will help; and an id to quote to support.
    Failure = Struct.new(:code, :reason, :violations, :retry_delay, :request_id)

    # Reads the details of an error. docs/errors.md of the gateway lists the reasons.
    #
    # @param error [GRPC::BadStatus]
    # @return [Failure]
    def self.explain(error)
      details = error.to_rpc_status&.details.to_a
      find = ->(type) { details.find { |any| any.is(type) }&.unpack(type) }
      code = GRPC::Core::StatusCodes.constants.find { |name| GRPC::Core::StatusCodes.const_get(name) == error.code }
      request_id = find.(Google::Rpc::RequestInfo)&.request_id || error.metadata['x-request-id']
      violations = find.(Google::Rpc::BadRequest)&.field_violations.to_a
      delay = find.(Google::Rpc::RetryInfo)&.retry_delay&.to_f
      Failure.new(code.to_s, find.(Google::Rpc::ErrorInfo)&.reason, violations, delay, request_id)
    end

    # Extends a stub to send the key as metadata. Call credentials do not work in plaintext, and what an interceptor adds is
    # not sent by a call with `return_op`, which is how a call can be cancelled.
    class KeySender < Module
      def initialize(key)
        super()
        %i[request_response server_streamer].each do |kind|
          define_method(kind) do |*arguments, metadata: {}, **options, &block|
            super(*arguments, metadata: { 'x-goog-api-key' => key }.merge(metadata), **options, &block)
          end
        end
      end
    end
    private_constant :KeySender
  end
end
