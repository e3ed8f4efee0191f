//! The generated code and its descriptors, under one name.
