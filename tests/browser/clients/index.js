// The clients in the page of a test. esbuild makes one file of them.

import { connect } from './connect.js';
import { grpcWeb } from './grpc_web.js';

window.clients = {
  'Connect-ES': connect,
  'grpc-web': (url) => grpcWeb(url, 'binary'),
  'grpc-web in text': (url) => grpcWeb(url, 'text'),
};
