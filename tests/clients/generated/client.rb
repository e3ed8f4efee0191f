# Calls the gateway at the given address, with the client that was generated for Ruby.
require 'mountsea/gemini/v1/generative_service_services_pb'
include Mountsea::Gemini::V1

stub = GenerativeService::Stub.new(ARGV[0], :this_channel_is_insecure)

def new_request(text)
  content = Content.new(role: 'user', parts: [Part.new(text: text)])
  GenerateContentRequest.new(model: 'gemini-2.5-flash', contents: [content])
end

def text(answer) = answer.candidates[0].content.parts[0].text

puts "answer: #{text(stub.generate_content(new_request('Why is the sky blue?')))}"
puts "stream: #{stub.stream_generate_content(new_request('Why is the sky blue?')).map { |answer| text(answer) }.join}"
begin
  stub.generate_content(GenerateContentRequest.new(model: 'gemini-2.5-flash'))
rescue GRPC::BadStatus => e
  puts "refused: #{e.code} #{e.details}"
end
