//! Protobuf wire bytes to Gemini JSON and back, driven by the descriptors.
