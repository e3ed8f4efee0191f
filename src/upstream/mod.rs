//! The way out: the only room that makes HTTP requests.
