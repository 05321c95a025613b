//! The extension `_artifactstore`: packages, keyed objects, metadata schemas, retention and holds, collections of
//! garbage, the scrub, the compliance clock, the audit, webhooks. Thin handlers, one shape per thing.

mod accept;
mod audit;
mod clock;
mod disposition;
mod events;
mod files;
mod garbage;
mod input;
mod objects;
mod packages;
pub(super) mod retention;
mod schemas;
mod scrub;
mod shapes;
mod sheet;
mod webhooks;

pub(crate) use audit::shape as audit_shape;
pub(crate) use disposition::shape as disposition_shape;
pub(crate) use shapes::plan as collection_plan_shape;
pub(crate) use sheet::{header as audit_header, write as audit_line};

use http::StatusCode;
use http::header::CACHE_CONTROL;

use super::download::CHANGING;
use super::error::Error;
use super::openapi;
use super::respond::{Answer, Headers as _, full};
use super::route::Extension;
use super::service::Call;

pub(super) async fn dispatch(route: Extension, call: &mut Call<'_>) -> Result<Answer, Error> {
    match route {
        Extension::CreatePackage(name) => packages::create(call, &name).await,
        Extension::Packages(name, filter, page) => packages::list(call, &name, &filter, &page).await,
        Extension::EligiblePackages(name, filter, after, n) => {
            packages::list_eligible(call, &name, &filter, after, n).await
        }
        Extension::Package(name, id) => packages::get(call, &name, &id).await,
        Extension::PackageAnywhere(id) => packages::get_anywhere(call, &id).await,
        Extension::AbortPackage(name, id) => packages::abort(call, &name, &id).await,
        Extension::FinalizePackage(name, id) => packages::finalize(call, &name, &id).await,
        Extension::PackageManifest(name, id) => packages::manifest(call, &name, &id).await,
        Extension::PackageEvents(name, id, since) => events::of_package(call, &name, &id, since).await,
        Extension::Files(name, id, page) => files::list(call, &name, &id, &page).await,
        Extension::File(name, id, path) => files::get(call, &name, &id, &path).await,
        Extension::IngestFile(name, id, path, ingest) => files::put(call, &name, &id, path, ingest).await,
        Extension::DropFile(name, id, path) => files::delete(call, &name, &id, &path).await,
        Extension::Events(asked) => events::follow(call, asked).await,
        Extension::Objects(route) => objects::dispatch(route, call).await,
        Extension::Audit(asked) => audit::get(call, asked).await,
        Extension::Disposing(route) => disposition::dispatch(route, call).await,
        Extension::Retention(route) => retention::dispatch(route, call).await,
        Extension::Schemas(page) => schemas::list(call, &page).await,
        Extension::Schema(name) => schemas::get(call, &name).await,
        Extension::RegisterSchema(name) => schemas::put(call, &name).await,
        Extension::RetentionClasses => Ok(schemas::retention_classes(call)),
        Extension::CollectGarbage => garbage::collect(call).await,
        Extension::CollectionRuns(page) => garbage::list(call, &page).await,
        Extension::CollectionRun(run, since) => garbage::get(call, &run, since).await,
        Extension::Clock => clock::get(call).await,
        Extension::ResyncClock => clock::resync(call).await,
        Extension::Webhooks(route) => webhooks::dispatch(route, call).await,
        Extension::Scrub(page) => scrub::state(call, &page).await,
        Extension::StartScrub => scrub::start(call).await,
        Extension::ScrubRuns(page) => scrub::list(call, &page).await,
        Extension::ScrubRun(run, page) => scrub::get(call, &run, &page).await,
        Extension::OpenApi => {
            let document = full(StatusCode::OK, "application/json", openapi::bytes());
            Ok(document.with(CACHE_CONTROL, CHANGING))
        }
    }
}
