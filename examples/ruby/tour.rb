# What a program does with the gateway, in Ruby: `ruby tour.rb ENDPOINT KEY [CA_FILE]`.
require 'mountsea/gemini'

include Mountsea::Gemini::V1

TEXT_MODEL = 'gemini-2.5-flash'.freeze
PICTURE_MODEL = 'gemini-3-pro-image-preview'.freeze

def main(endpoint, key, ca_file = nil)
  gemini = Mountsea::Gemini.connect(endpoint, key, ca_file: ca_file).generative
  text(gemini)
  stream(gemini)
  picture(gemini)
  edit(gemini)
  chat_with_tool(gemini)
  deadline(gemini)
  cancel(gemini)
  refused(gemini)
  busy(gemini)
  blocked(gemini)
  usage(gemini)
end

def ask(*parts, model: TEXT_MODEL, **more)
  parts = parts.map { |part| part.is_a?(String) ? Part.new(text: part) : part }
  content = Content.new(role: 'user', parts: parts)
  GenerateContentRequest.new(model: model, contents: [content], **more)
end

# The parts of an answer. Some models send drafts first, as thoughts.
def parts_of(answer) = answer.candidates[0].content.parts.reject(&:thought)

def text_of(answer) = parts_of(answer).map(&:text).join

def text(gemini)
  puts "text: #{text_of(gemini.generate_content(ask('Why is the sky blue?')))}"
end

def stream(gemini)
  print 'stream: '
  gemini.stream_generate_content(ask('Why is the sky blue?')).each do |piece|
    print text_of(piece)
    $stdout.flush
  end
  puts
end

def picture(gemini)
  config = GenerationConfig.new(image_config: ImageConfig.new(image_size: '4K'))
  request = ask('a lighthouse at dawn', model: PICTURE_MODEL, generation_config: config)
  save('picture', 'lighthouse.png', gemini.generate_content(request))
end

def edit(gemini)
  original = Blob.new(mime_type: 'image/png', data: File.binread('lighthouse.png'))
  request = ask('at night', Part.new(inline_data: original), model: PICTURE_MODEL)
  save('edited', 'lighthouse-night.png', gemini.generate_content(request))
end

def save(label, file, answer)
  picture = parts_of(answer).find(&:inline_data).inline_data
  File.binwrite(file, picture.data)
  puts "#{label}: #{file}, #{picture.mime_type}, #{picture.data.bytesize} bytes"
end

def chat_with_tool(gemini)
  city = { 'city' => Schema.new(type: :STRING) }
  parameters = Schema.new(type: :OBJECT, properties: city, required: ['city'])
  get_weather = FunctionDeclaration.new(
    name: 'get_weather', description: 'The weather in a city now.', parameters: parameters
  )
  tool = Tool.new(function_declarations: [get_weather])
  chat = ask('What is the weather in Oslo?', tools: [tool])
  answer = gemini.generate_content(chat)
  call = parts_of(answer).find(&:function_call).function_call
  puts "tool: #{call.name}"

  # The model's own message goes back as it came: its parts may have signatures.
  chat.contents << answer.candidates[0].content
  result = Google::Protobuf::Struct.from_hash('celsius' => 7)
  response = FunctionResponse.new(id: call.id, name: call.name, response: result)
  chat.contents << Content.new(role: 'user', parts: [Part.new(function_response: response)])
  puts "tool answer: #{text_of(gemini.generate_content(chat))}"
end

def deadline(gemini)
  gemini.generate_content(ask('hello', model: 'sandbox-hang'), deadline: Time.now + 0.5)
  raise 'the call was expected to fail'
rescue GRPC::DeadlineExceeded => e
  puts "deadline: #{Mountsea::Gemini.explain(e).code}"
end

def cancel(gemini)
  call = gemini.stream_generate_content(ask('hello', model: 'sandbox-hang-stream'), return_op: true)
  call.execute.each { call.cancel }
  raise 'the call was expected to fail'
rescue GRPC::Cancelled => e
  puts "cancel: #{Mountsea::Gemini.explain(e).code}"
end

def refused(gemini)
  config = GenerationConfig.new(temperature: 3, top_p: 2)
  gemini.generate_content(ask('hello', generation_config: config))
  raise 'the call was expected to fail'
rescue GRPC::InvalidArgument => e
  failure = Mountsea::Gemini.explain(e)
  puts "refused: #{failure.code}, #{failure.reason}"
  failure.violations.each { |violation| puts "  #{violation.field}: #{violation.description}" }
  puts "  request id: #{failure.request_id}"
end

def busy(gemini)
  gemini.generate_content(ask('hello', model: 'sandbox-429'))
  raise 'the call was expected to fail'
rescue GRPC::ResourceExhausted => e
  failure = Mountsea::Gemini.explain(e)
  puts "busy: #{failure.code}, #{failure.reason}, retry in #{format('%g', failure.retry_delay)} s"
end

def blocked(gemini)
  answer = gemini.generate_content(ask('hello', model: 'sandbox-blocked'))
  puts "blocked: #{answer.prompt_feedback.block_reason}"
end

def usage(gemini)
  usage = gemini.generate_content(ask('Why is the sky blue?')).usage_metadata
  puts "usage: #{usage.prompt_token_count} tokens in, #{usage.candidates_token_count} tokens out"
end

main(*ARGV)
