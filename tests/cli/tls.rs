//! TLS between `serve` and the commands that call it.

use crate::certificates::{Authority, Files, Issued};
use crate::support::{Gateway, gemini_grpc, run, run_with};

#[test]
fn call_and_healthcheck_over_tls_need_only_the_authority() {
    let (files, authority) = (Files::new(), Authority::new());
    let Issued { cert, key } = authority.issue();
    let (ca, cert, key) = (files.write("ca", &authority.pem), files.write("cert", &cert), files.write("key", &key));
    let mut gateway = Gateway::with(["--tls-cert", &cert, "--tls-key", &key]);
    let hint = format!("try: gemini-grpc call --endpoint {} --ca CA.pem 'Why", gateway.endpoint);
    assert!(hint.contains("https://"));
    let shown = gateway.log.wait_for(|line| line.contains("try: ").then(|| line.to_owned()));
    assert!(shown.contains(&hint), "{shown}");
    for command in [&["call", "hello"][..], &["call", "--rest", "hello"], &["healthcheck"]] {
        let ended = gateway.run(command.iter().copied().chain(["--ca", &ca]));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        // The system does not trust this authority.
        let ended = gateway.run(command.iter().copied());
        assert!(ended.code == Some(1) && ended.err.contains("invalid peer certificate"), "{}", ended.err);
    }
}

#[test]
fn the_suggested_command_works_with_a_self_signed_certificate() {
    let files = Files::new();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let (cert, key) = (files.write("cert", &cert.pem()), files.write("key", &signing_key.serialize_pem()));
    let mut gateway = Gateway::with(["--tls-cert", &cert, "--tls-key", &key]);
    let tried = gateway.log.wait_for(|line| {
        let (_, command) = line.split_once("try: gemini-grpc ")?;
        Some(command.split_once(" 'Why")?.0.to_owned())
    });
    // The certificate is for a name, not for an address.
    let port = gateway.endpoint.rsplit(':').next().unwrap();
    assert_eq!(tried, format!("call --endpoint https://localhost:{port} --ca {cert}"));
    for flags in [&[][..], &["--rest"]] {
        let ended = run_with(tried.split(' ').chain(["hello"]).chain(flags.iter().copied()));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
}

#[test]
fn the_suggested_command_has_the_flags_for_client_certificates() {
    let (files, authority) = (Files::new(), Authority::new());
    let Issued { cert, key } = authority.issue();
    let (ca, cert, key) = (files.write("ca", &authority.pem), files.write("cert", &cert), files.write("key", &key));
    let mut gateway = Gateway::with(["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca]);
    let flags = " --ca CA.pem --cert CERT.pem --cert-key KEY.pem 'Why";
    let shown = gateway.log.wait_for(|line| line.contains("try: ").then(|| line.to_owned()));
    assert!(shown.contains(flags), "{shown}");
}

#[test]
fn call_presents_a_client_certificate_if_the_gateway_requires_one() {
    let (files, authority) = (Files::new(), Authority::new());
    let Issued { cert, key } = authority.issue();
    let (ca, cert, key) = (files.write("ca", &authority.pem), files.write("cert", &cert), files.write("key", &key));
    let gateway = Gateway::with(["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca]);
    for flags in [&[][..], &["--rest"]] {
        let call = [&["call", "hello", "--ca", &ca], flags].concat();
        let ended = gateway.run(call.iter().copied().chain(["--cert", &cert, "--cert-key", &key]));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let ended = gateway.run(call);
        assert!(ended.code == Some(1) && ended.err.contains("give one with --cert and --cert-key"), "{}", ended.err);
    }
}

#[test]
fn an_endpoint_with_the_wrong_scheme_is_reported() {
    let (files, authority) = (Files::new(), Authority::new());
    let Issued { cert, key } = authority.issue();
    let (cert, key) = (files.write("cert", &cert), files.write("key", &key));
    let (plaintext, tls) = (Gateway::start(), Gateway::with(["--tls-cert", &cert, "--tls-key", &key]));
    for arguments in [&["call", "hello"][..], &["call", "--rest", "hello"], &["healthcheck"]] {
        let run_command = |url: &str| {
            let mut command = gemini_grpc(arguments.iter().copied());
            command.args(["--endpoint", url]);
            if url.starts_with("https") {
                command.args(["--ca", &cert]);
            }
            run(command)
        };
        let url = plaintext.endpoint.replace("http:", "https:");
        let ended = run_command(&url);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
        assert_eq!(ended.err, format!("error: {url} speaks no TLS; say http:// instead of https://\n"));
        let url = tls.endpoint.replace("https:", "http:");
        let ended = run_command(&url);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
        assert_eq!(ended.err, format!("error: {url} speaks TLS; say https:// instead of http://\n"));
    }
}

#[test]
fn an_invalid_tls_file_is_named_before_anything_is_served() {
    let (files, authority) = (Files::new(), Authority::new());
    let (one, other) = (authority.issue(), authority.issue());
    let (cert, key) = (files.write("cert", &one.cert), files.write("key", &one.key));
    let (another, text) = (files.write("another", &other.key), files.write("text", "no PEM"));
    let broken = files.write("broken", &one.cert.replace('M', "!"));
    for (flags, variable, file, problem) in [
        (["--tls-cert", "/no/such/file", "--tls-key", &key], "TLS_CERT", "cannot read /no/such/file", ""),
        (["--tls-cert", &text, "--tls-key", &key], "TLS_CERT", &text, "holds no certificate in PEM"),
        (["--tls-cert", &broken, "--tls-key", &key], "TLS_CERT", &broken, "holds broken PEM"),
        (["--tls-cert", &cert, "--tls-key", &text], "TLS_KEY", &text, "holds no private key in PEM"),
        (["--tls-cert", &cert, "--tls-key", &another], "TLS_KEY", &another, "does not fit the certificate in"),
        (["--upstream-cert", &cert, "--upstream-cert-key", &another], "UPSTREAM_CERT_KEY", &another, "does not fit"),
    ] {
        let ended = run_with(["serve", "--sandbox"].into_iter().chain(flags));
        let says = format!("error: GEMINI_GRPC_{variable}: {file} {problem}");
        assert!(ended.code == Some(2) && ended.err.contains(says.trim_end()), "{says}\n{}", ended.err);
        assert_eq!(ended.err.trim_end().lines().count(), 1, "{}", ended.err);
    }
    let pair = ["--tls-cert", &cert, "--tls-key", &key];
    for authorities in ["--tls-client-ca", "--upstream-ca"] {
        let ended = run_with(["serve", "--sandbox", authorities, &text].into_iter().chain(pair));
        assert!(ended.code == Some(2) && ended.err.contains("_CA: "), "{}", ended.err);
        assert!(ended.err.contains(&format!("{text} holds no certificate in PEM")), "{}", ended.err);
    }
}

#[test]
fn an_expired_certificate_is_used_with_a_warning() {
    let (files, authority) = (Files::new(), Authority::new());
    let Issued { cert, key } = authority.issue_expired();
    let (cert, key) = (files.write("cert", &cert), files.write("key", &key));
    let arguments = ["serve", "--sandbox", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let mut running =
        crate::support::Running::start(gemini_grpc(arguments).args(["--tls-cert", &cert, "--tls-key", &key]));
    let mut log = running.err();
    log.wait_for(|line| (line.contains("WARN") && line.contains("GEMINI_GRPC_TLS_CERT")).then_some(()));
    log.wait_for(|line| line.contains("\"serving\"").then_some(()));
}
