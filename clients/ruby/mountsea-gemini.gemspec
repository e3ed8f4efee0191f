# clients/ruby/build puts the generated code, the retry policy and the licence next to the helper, and sets VERSION.
Gem::Specification.new do |gem|
  gem.name = 'mountsea-gemini'
  gem.version = ENV.fetch('VERSION')
  gem.summary = 'A client for gemini-grpc, which offers the Gemini API over gRPC'
  gem.authors = ['Mountsea']
  gem.homepage = 'https://github.com/mountsea/gemini-grpc'
  gem.license = 'Apache-2.0'
  gem.required_ruby_version = '>= 3.0'
  gem.files = Dir['lib/**/*'].select { |file| File.file?(file) }.sort + %w[LICENSE README.md]
  gem.add_dependency 'google-protobuf', '~> 3.21'
  gem.add_dependency 'googleapis-common-protos-types', '~> 1.4'
  gem.add_dependency 'grpc', '~> 1.51'
end
