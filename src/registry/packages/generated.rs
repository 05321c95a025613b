//! The content manifest of a package that came without one, as the registry publishes it: a blob, and a referrer of
//! the package that names it. Neither leaves while the package stays.

use bytes::Bytes;

use super::Package;
use super::finalize::on_a_thread;
use crate::dataplane;
use crate::hash;
use crate::oci::{Algorithm, Digest, Reference, media};
use crate::package::Manifest;
use crate::package::mapping::{self, BlobRef, Recognised, compose_generated, names};
use crate::registry::commands::PushManifest;
use crate::registry::{Actor, Error, Registry};
use crate::views::{contents, links, manifests};

impl Registry {
    /// Stores the content manifest of a package that came without one, and composes the referrer that publishes it.
    pub(super) async fn publish_generated(
        &self,
        actor: &Actor,
        push: &PushManifest,
        cbor: Bytes,
    ) -> Result<PushManifest, Error> {
        let repository = &push.repository;
        let config = BlobRef::of(&cbor);
        self.store_own(repository, actor, cbor).await?;
        self.store_own(repository, actor, Bytes::from_static(names::EMPTY_CONFIG)).await?;
        self.prepare_own(repository, Vec::new(), media::OCI_IMAGE_MANIFEST, referrer(&config, push)).await
    }

    /// Publishes the content manifest of a package again that was pushed before, where it is gone: there was a time
    /// when it could be deleted. It is the one that the log has, whatever would be derived today.
    pub(super) async fn publish_again(
        &self,
        actor: &Actor,
        push: &PushManifest,
        package: &Package,
    ) -> Result<(), Error> {
        let came_without =
            matches!(mapping::recognise(&push.manifest)?, Recognised::Implicit | Recognised::Archive { .. });
        let claimed = match &package.content_manifest {
            Some(claimed) if came_without && !self.is_published(push, claimed).await? => claimed.clone(),
            _ => return Ok(()),
        };
        let bytes = self.package_manifest(&package.id).await?;
        let (cbor, actual) = on_a_thread(move || {
            let cbor = Manifest::decode(&bytes)?.into_content().encode()?;
            let actual = hash::digest(Algorithm::Blake3, &cbor);
            Ok::<_, Error>((cbor, actual))
        })
        .await??;
        if actual != claimed {
            return Err(Error::Data(dataplane::Error::DigestMismatch { claimed, actual }));
        }
        let referrer = self.publish_generated(actor, push, cbor.into()).await?;
        self.submit(actor.clone(), referrer).await.map(drop)
    }

    async fn is_published(&self, push: &PushManifest, content: &Digest) -> Result<bool, Error> {
        let (db, repository) = (&self.inner.db, &push.repository);
        let Some(blob) = links::find(db, repository, content).await? else {
            return Ok(false);
        };
        let digests = contents::digests_of(db, content).await?;
        let sha256 = digests.into_iter().find(|digest| digest.algorithm() == Algorithm::Sha256);
        let Some(digest) = sha256 else { return Ok(false) };
        let referrer = referrer(&BlobRef { digest, size: blob.size }, push);
        let referrer = Reference::Digest(hash::digest(Algorithm::Sha256, &referrer));
        Ok(manifests::find(db, repository, &referrer).await?.is_some())
    }
}

fn referrer(config: &BlobRef, push: &PushManifest) -> Bytes {
    let subject = BlobRef { digest: push.sha256().clone(), size: push.bytes.len() as u64 };
    compose_generated(config, &subject, &push.manifest.media_type).into()
}
