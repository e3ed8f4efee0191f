# The service and a request, as the server describes them.
grpcurl -plaintext localhost:50051 describe mountsea.gemini.v1.GenerativeService
grpcurl -plaintext -msg-template localhost:50051 describe mountsea.gemini.v1.GenerateContentRequest
# An answer as a stream. The key is metadata.
grpcurl -plaintext -H 'x-goog-api-key: KEY' \
  -d '{"model": "gemini-2.5-flash", "contents": [{"parts": [{"text": "Why is the sky blue?"}]}]}' \
  localhost:50051 mountsea.gemini.v1.GenerativeService/StreamGenerateContent
# A picture, with room for it and at most two minutes. Its data is base64.
grpcurl -plaintext -H 'x-goog-api-key: KEY' -max-msg-sz 67108864 -max-time 120 \
  -d '{"model": "gemini-3-pro-image-preview", "contents": [{"parts": [{"text": "a lighthouse at dawn"}]}],
       "generationConfig": {"imageConfig": {"imageSize": "4K"}}}' \
  localhost:50051 mountsea.gemini.v1.GenerativeService/GenerateContent > answer.json
# Over TLS, with a CA of your own, and without reflection: with the files of `gemini-grpc contract --out contract`.
grpcurl -cacert ca.pem -protoset contract/contract.binpb -H 'x-goog-api-key: KEY' \
  localhost:50052 mountsea.gemini.v1.ModelService/ListModels
