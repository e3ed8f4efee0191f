//! Open files: the limit that is raised, and what happens when all are in use.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{ChildStderr, Command};

use gemini_grpc::pb::gemini::generative_service_client::GenerativeServiceClient;
