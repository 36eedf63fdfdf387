//! What OpenTelemetry's own environment variables ask for.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// Which refused requests get a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sampling {
    /// Those whose caller samples the trace, and those without one.
    #[default]
    AsParent,
    /// All.
    Always,
}

/// Where spans go, and how.
#[derive(Clone)]
pub struct Settings {
    pub(super) url: Uri,
    /// May hold secrets.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) resource: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) delay: Duration,
    pub(super) sampling: Sampling,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("delay", &self.delay).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A variable that asks for what cannot be done. It is told and passed over, as the specification wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong. Never the value: it may be a secret.
    pub what: &'static str,
    /// The cure.
    pub cure: &'static str,
}

const TIMEOUT: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_secs(5);

impl Settings {
    /// Reads the variables, of which an empty one counts as unset. Without an endpoint there are no settings: nothing is
    /// exported unless asked for.
    pub fn read<'v>(variable: impl Fn(&str) -> Option<&'v str>) -> (Option<Self>, Vec<Problem>) {
        let get = |name: &str| variable(name).map(str::trim).filter(|value| !value.is_empty());
        let mut problems = Vec::new();
        let says = |name: &str, word: &str| get(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
        let off = says("OTEL_SDK_DISABLED", "true")
            || says("OTEL_TRACES_EXPORTER", "none")
            || says("OTEL_TRACES_SAMPLER", "always_off");
        let Some(url) = endpoint(&get, &mut problems).filter(|_| !off) else {
            return (None, if off { Vec::new() } else { problems });
        };
        protocol(&get, &url, &mut problems);
        let sampling = if says("OTEL_TRACES_SAMPLER", "always_on") { Sampling::Always } else { Sampling::AsParent };
        let settings = Self {
            url,
            headers: headers(&get, &mut problems),
            resource: resource(&get, &mut problems),
            timeout: millis(
                &get,
                &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
                TIMEOUT,
                &mut problems,
            ),
            delay: millis(&get, &["OTEL_BSP_SCHEDULE_DELAY"], DELAY, &mut problems),
            sampling,
        };
        (Some(settings), problems)
    }
}

/// The variable for traces is taken as it is, the general one gets the path of traces.
fn endpoint<'v>(get: &impl Fn(&str) -> Option<&'v str>, problems: &mut Vec<Problem>) -> Option<Uri> {
    let (variable, text) = match get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        Some(text) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text.to_owned()),
        None => {
            let base = get("OTEL_EXPORTER_OTLP_ENDPOINT")?.trim_end_matches('/');
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{base}/v1/traces"))
        }
    };
    let url = text.parse::<Uri>().ok().filter(|url| url.host().is_some_and(|host| !host.is_empty()));
    let (what, cure) = match url.as_ref().and_then(Uri::scheme_str) {
        Some("http") => return url,
        Some("https") => (
            "spans cannot be sent over https: none is exported",
            "name a collector beside the proxy with http://, which passes them on over TLS",
        ),
        _ => ("this is no URL of a collector: no span is exported", "write it as http://collector:4318"),
    };
    problems.push(Problem { variable, what, cure });
    None
}

fn protocol<'v>(get: &impl Fn(&str) -> Option<&'v str>, url: &Uri, problems: &mut Vec<Problem>) {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let asked = names.iter().find_map(|name| Some((*name, get(name)?)));
    let cure = "point the endpoint at the collector's port for HTTP (4318)";
    match asked {
        Some((variable, "grpc")) => {
            problems.push(Problem { variable, what: "spans are sent as http/json, not over gRPC", cure })
        }
        None if url.port_u16() == Some(4317) => problems.push(Problem {
            variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
            what: "4317 is the port for gRPC, and spans are sent as http/json",
            cure,
        }),
        _ => {}
    }
}

/// `key=value,key=value`, percent-encoded. What is no pair is `Err`.
fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    text.split(',').filter(|piece| !piece.trim().is_empty()).map(|piece| {
        let (key, value) = piece.split_once('=')?;
        let decode = |text: &str| Some(percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned());
        decode(key).filter(|key| !key.is_empty()).zip(decode(value))
    })
}

fn headers<'v>(get: &impl Fn(&str) -> Option<&'v str>, problems: &mut Vec<Problem>) -> Vec<(HeaderName, HeaderValue)> {
    let mut found: Vec<(HeaderName, HeaderValue)> = Vec::new();
    // What is said of traces alone wins over what is said of all.
    for variable in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        for pair in get(variable).into_iter().flat_map(pairs) {
            let header = pair.and_then(|(name, value)| {
                let mut value = HeaderValue::try_from(value).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::try_from(name).ok()?, value))
            });
            match header {
                Some((name, value)) => {
                    found.retain(|(known, _)| *known != name);
                    found.push((name, value));
                }
                None => problems.push(Problem {
                    variable,
                    what: "a part of it is no header, and is left out",
                    cure: "write name=value pairs, separated by commas, values percent-encoded",
                }),
            }
        }
    }
    found
}

fn resource<'v>(get: &impl Fn(&str) -> Option<&'v str>, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    const VARIABLE: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let own = [("service.name", env!("CARGO_PKG_NAME")), ("service.version", env!("CARGO_PKG_VERSION"))];
    let mut found: Vec<(String, String)> = own.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let given: Option<Vec<_>> = get(VARIABLE).map(|text| pairs(text).collect()).unwrap_or(Some(Vec::new()));
    // The specification: where one part is wrong, the whole value is passed over.
    let given = given.unwrap_or_else(|| {
        let cure = "write key=value pairs, separated by commas, values percent-encoded";
        problems.push(Problem { variable: VARIABLE, what: "a part of it is no pair: all of it is left out", cure });
        Vec::new()
    });
    let name = get("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name.to_owned()));
    for (key, value) in given.into_iter().chain(name) {
        found.retain(|(known, _)| *known != key);
        found.push((key, value));
    }
    found
}

fn millis<'v>(
    get: &impl Fn(&str) -> Option<&'v str>,
    names: &[&'static str],
    default: Duration,
    problems: &mut Vec<Problem>,
) -> Duration {
    let Some((variable, text)) = names.iter().find_map(|name| Some((*name, get(name)?))) else { return default };
    match text.parse::<u64>() {
        Ok(number) if number > 0 => Duration::from_millis(number),
        _ => {
            let what = "this is no number of milliseconds: the default is used";
            problems.push(Problem { variable, what, cure: "write a whole number above 0" });
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<&'static str>) {
        let owned: Vec<(String, String)> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let find = |name: &str| owned.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let (settings, problems) = Settings::read(find);
        (settings, problems.into_iter().map(|problem| problem.variable).collect())
    }

    fn url(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).0.map(|settings| settings.url.to_string())
    }

    #[test]
    fn nothing_is_exported_unless_asked_for() {
        assert_eq!(url(&[]), None);
        assert_eq!(url(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), None);
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for off in
            [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_TRACES_SAMPLER", "always_off")]
        {
            assert_eq!(url(&[endpoint, off]), None, "{off:?}");
        }
        assert!(url(&[endpoint, ("OTEL_SDK_DISABLED", "1")]).is_some(), "only `true` switches it off");
    }

    #[test]
    fn the_endpoint_of_traces_is_taken_as_it_is() {
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318/base/");
        assert_eq!(url(&[general]).as_deref(), Some("http://a:4318/base/v1/traces"));
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:1/x");
        assert_eq!(url(&[general, traces]).as_deref(), Some("http://b:1/x"));
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        for endpoint in ["https://a:4318", "a:4318", "/x", "ftp://a", "http://", "nonsense"] {
            let (settings, problems) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
            assert!(settings.is_none() && problems == ["OTEL_EXPORTER_OTLP_ENDPOINT"], "{endpoint}: {problems:?}");
        }
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317");
        assert_eq!(read(&[endpoint]).1, ["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        let (_, problems) = read(&[
            endpoint,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c,good=1"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"),
        ]);
        let expected = [
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_RESOURCE_ATTRIBUTES",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "OTEL_BSP_SCHEDULE_DELAY",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn headers_and_resource_are_decoded_and_stay_secret() {
        let (settings, problems) = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@a:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20aHVudGVyMg==, x-tenant=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "X-Tenant=2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a%2Cb,service.name=other"),
            ("OTEL_SERVICE_NAME", "proxy"),
        ]);
        let settings = settings.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        let value = |name: &str| settings.headers.iter().find(|(n, _)| n == name).unwrap().1.to_str().unwrap();
        assert_eq!((value("authorization"), value("x-tenant")), ("Basic aHVudGVyMg==", "2"));
        let attribute = |key: &str| &settings.resource.iter().find(|(k, _)| k == key).unwrap().1;
        assert_eq!(
            (attribute("service.name").as_str(), attribute("deployment.environment.name").as_str()),
            ("proxy", "a,b")
        );
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("aHVu"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_value_is_judged(endpoint: String, pairs: String, number: String) {
            let (settings, _) = read(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_HEADERS", &pairs),
                ("OTEL_RESOURCE_ATTRIBUTES", &pairs),
                ("OTEL_BSP_SCHEDULE_DELAY", &number),
            ]);
            prop_assert!(settings.is_none_or(|settings| settings.url.scheme_str() == Some("http")));
        }
    }
}
