//! The paths of the gRPC methods, as the embedded descriptors name them.

use std::sync::LazyLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::gateway::CallerSchema;
use crate::gemini::method::Method;
use crate::pb;

/// The full names of the services that are not Gemini's.
pub(super) const HEALTH: &str = "grpc.health.v1.Health";
pub(super) const LOAD_REPORTS: &str = "xds.service.orca.v3.OpenRcaService";
pub(super) const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";
pub(super) const REFLECTION_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";
/// The only package in the descriptors whose service is not Gemini's.
const HEALTH_PACKAGE: &str = "grpc.health.v1";
/// The package of the service to generate clients for. Google's packages have the same service for Google's clients.
const OWN_PACKAGE: &str = "mountsea.gemini.v1";

/// Which method a path calls.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// The path without its first slash: `package.Service/Method`.
    pub(super) name: String,
    pub(super) method: Method,
    /// Clients of Google's services have Google's schema.
    pub(super) schema: CallerSchema,
}

/// The services and their methods.
struct Routes {
    /// Full names of the services. Our own is the first.
    services: Vec<String>,
    routes: Vec<Route>,
}

#[expect(
    clippy::expect_used,
    reason = "the descriptors are part of the program; every test fails if they are not readable"
)]
static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    Routes::new(&FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).expect("embedded descriptors are readable"))
});

/// The full names of the services that offer Gemini's methods. The first is the one to generate clients for.
pub(super) fn services() -> &'static [String] {
    &ROUTES.services
}

/// The route of `package.Service/Method`, if it is offered.
pub(super) fn find(path: &str) -> Option<&'static Route> {
    ROUTES.routes.iter().find(|route| route.name == path)
}

impl Routes {
    fn new(descriptors: &FileDescriptorSet) -> Self {
        let (mut services, mut routes) = (Vec::new(), Vec::new());
        let mut files: Vec<_> = descriptors.file.iter().filter(|file| file.package() != HEALTH_PACKAGE).collect();
        files.sort_by_key(|file| file.package() != OWN_PACKAGE);
        for file in files {
            let schema = if file.package() == OWN_PACKAGE { CallerSchema::Own } else { CallerSchema::Google };
            for service in &file.service {
                let full_name = format!("{}.{}", file.package(), service.name());
                for method in service.method.iter().filter_map(|method| Method::from_rpc(method.name())) {
                    routes.push(Route { name: format!("{full_name}/{}", method.rpc()), method, schema });
                }
                services.push(full_name);
            }
        }
        // Each call looks for its route from the front, and most calls generate.
        routes.sort_by_key(|route| !route.method.generates());
        Self { services, routes }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_every_service_has_a_row_that_says_whether_it_streams() {
        let descriptors = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
        for file in descriptors.file.iter().filter(|file| file.package() != HEALTH_PACKAGE) {
            for (service, method) in file.service.iter().flat_map(|s| s.method.iter().map(move |method| (s, method))) {
                let path = format!("{}.{}/{}", file.package(), service.name(), method.name());
                let row = Method::from_rpc(method.name());
                assert_eq!(row.map(Method::is_streaming), Some(method.server_streaming()), "{path}");
                assert_eq!(find(&path).map(|route| route.method), row, "{path}");
            }
        }
    }

    #[test]
    fn our_own_service_is_the_first_and_googles_names_have_googles_schema() {
        assert_eq!(services()[0], "mountsea.gemini.v1.GenerativeService");
        for route in &ROUTES.routes {
            let is_own = route.name.starts_with(OWN_PACKAGE);
            let schema = if is_own { CallerSchema::Own } else { CallerSchema::Google };
            assert_eq!(route.schema, schema, "{}", route.name);
        }
        for method in Method::ALL {
            let doors = ROUTES.routes.iter().filter(|route| route.method == *method);
            assert_eq!(doors.count(), 3, "{method:?}");
        }
    }
}
