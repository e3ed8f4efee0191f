package ai.mountsea.gemini

import ai.mountsea.gemini.v1.GenerativeServiceGrpcKt.GenerativeServiceCoroutineStub
import io.grpc.Channel
import io.grpc.ManagedChannel
import java.io.File

/**
 * A channel to gemini-grpc at `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`, which sends [key] with each call.
 *
 * Without a scheme, the channel uses TLS if there is a [ca], a PEM file with the authorities to trust, or if the host is
 * not loopback. [Gemini.builder] gives a channel that can be changed before it is built.
 */
fun connect(endpoint: String, key: String, ca: File? = null): ManagedChannel = Gemini.connect(endpoint, key, ca)

/** The client for texts, pictures and tools on this channel. */
fun Channel.generativeService() = GenerativeServiceCoroutineStub(this)

/** Why a call failed. */
fun Throwable.explain(): Failure = Gemini.explain(this)
