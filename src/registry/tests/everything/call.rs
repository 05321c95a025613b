//! A deed with everything it is about, and its way through the library.

use bytes::Bytes;

use super::reference::Disposition;
use super::rules::DAY;
use super::step::{Deed, What};
use super::world::World;
use super::{CLASSES, KEYS, PATHS, PEOPLE, REPOSITORIES, TAGS};
use crate::clock::Micros;
use crate::events::Target;
use crate::oci::{Digest, Reference, RepositoryName, Tag, media};
use crate::package::{Description, Object, PackageId, PackagePath};
use crate::registry::tests::{Error, descriptor, image, index_of, json, name, sha256, tag, whole};
use crate::registry::{Actor, Extension, Finalize, Item, NewFile, NewHold, NewObject, NewPackage, Registry};
use crate::retention::{DispositionId, HoldId, HoldKind};

/// What a deed comes to at this moment.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Push(RepositoryName, Bytes),
    Mount(RepositoryName, Digest),
    Ask(RepositoryName, Digest),
    /// Blobs that are pushed first, and a manifest under a tag or its digest.
    Put(RepositoryName, Vec<Bytes>, Reference, Bytes),
    Draft(RepositoryName, String),
    Package(RepositoryName, String, Bytes, Option<Tag>),
    Ingest(RepositoryName, PackageId, PackagePath, Bytes, bool),
    DropFile(RepositoryName, PackageId, PackagePath),
    Finalize(RepositoryName, PackageId, Option<Tag>),
    Abort(RepositoryName, PackageId),
    Store(RepositoryName, PackagePath, Bytes),
    DeleteKey(RepositoryName, PackagePath),
    Delete(RepositoryName, Reference),
    DeleteBlob(RepositoryName, Digest),
    Hold(RepositoryName, Option<Item>, HoldKind),
    Release(RepositoryName, HoldId),
    Extend(RepositoryName, Item, Extension),
    Shorten(RepositoryName, Item, Micros, bool),
    /// By one, and approved by others at once.
    Propose(RepositoryName, Item, Actor, Vec<Actor>),
    Approve(RepositoryName, DispositionId, Actor),
    Reject(RepositoryName, DispositionId),
    Execute(RepositoryName, DispositionId, Actor),
    Collect,
    Plan,
    Sweep,
}

/// What somebody was told.
#[derive(Debug)]
pub(super) enum Made {
    Done,
    Package(PackageId),
    Hold(HoldId),
}

pub(super) fn content(blob: usize) -> Bytes {
    Bytes::from(format!("the content of blob {blob}"))
}

fn nth<T>(all: Vec<T>, n: usize) -> Option<T> {
    let count = all.len();
    all.into_iter().nth(n.checked_rem(count)?)
}

/// The nth of what something can come of, or one of the others.
fn likely<T>(all: Vec<T>, is_likely: impl Fn(&T) -> bool, n: usize) -> Option<T> {
    let (mut likely, others): (Vec<T>, Vec<T>) = all.into_iter().partition(is_likely);
    likely.extend(others.into_iter().next());
    nth(likely, n)
}

fn may_approve(disposition: &Disposition, by: &Actor) -> bool {
    disposition.proposer != by.as_str() && !disposition.approvals.contains(by.as_str())
}

fn with_class(manifest: &Bytes, class: Option<usize>) -> Bytes {
    let Some(class) = class else { return manifest.clone() };
    let notes = serde_json::json!({ "dev.artifactstore.retention.class": CLASSES[class] });
    with(manifest, "annotations", notes)
}

fn with(manifest: &Bytes, field: &str, value: serde_json::Value) -> Bytes {
    let mut document: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    document.as_object_mut().unwrap().insert(field.to_owned(), value);
    json(&document)
}

fn person(number: usize) -> Actor {
    Actor::user(PEOPLE[number])
}

impl World {
    /// What a deed is about now; nothing, if there is nothing of its kind.
    pub(super) async fn call(&self, deed: Deed) -> Option<Call> {
        let at = |at: usize| name(REPOSITORIES[at]);
        let key = |key: usize| -> PackagePath { KEYS[key].parse().unwrap() };
        Some(match deed {
            Deed::Push { at: to, blob } => Call::Push(at(to), content(blob)),
            Deed::Mount { at: to, blob } => Call::Mount(at(to), sha256(&content(blob))),
            Deed::Ask { at: to, blob } => Call::Ask(at(to), sha256(&content(blob))),
            Deed::Image { at: to, blobs: (config, layer), are_new, class, subject, tag } => {
                let blobs = [content(config), content(layer)];
                let plain = image(&sha256(&blobs[0]), &[sha256(&blobs[1])]);
                let mut bytes = with_class(&plain, class);
                if let Some((digest, _)) = subject.and_then(|n| self.manifest(&at(to), n)) {
                    let subject = descriptor(media::OCI_IMAGE_MANIFEST, &digest);
                    bytes = with(&bytes, "subject", subject);
                }
                let first = if are_new { blobs.to_vec() } else { Vec::new() };
                Call::Put(at(to), first, named(tag, &bytes), bytes)
            }
            Deed::Index { at: to, children: (a, b), class, tag } => {
                let children = [self.manifest(&at(to), a)?.0, self.manifest(&at(to), b)?.0];
                let bytes = with_class(&index_of(&children), class);
                Call::Put(at(to), Vec::new(), named(tag, &bytes), bytes)
            }
            Deed::Retag { at: to, manifest, tag } => {
                let (digest, _) = self.manifest(&at(to), manifest)?;
                let found = self.registry.manifest(&at(to), &Reference::Digest(digest)).await.ok()?;
                Call::Put(at(to), Vec::new(), named(Some(tag), &found.bytes), found.bytes)
            }
            Deed::Package { at: to, blob, class, tag: text } => {
                let tag = text.map(|text| tag(TAGS[text]));
                Call::Package(at(to), CLASSES[class].to_owned(), content(blob), tag)
            }
            Deed::Draft { at: to, class } => Call::Draft(at(to), CLASSES[class].to_owned()),
            Deed::Ingest { draft, path, blob, replace } => {
                let (of, id) = self.draft(draft)?;
                Call::Ingest(of, id, PATHS[path].parse().unwrap(), content(blob), replace)
            }
            Deed::DropFile { draft, path } => {
                let (of, id) = self.draft(draft)?;
                Call::DropFile(of, id, PATHS[path].parse().unwrap())
            }
            Deed::Finalize { draft, tag: text } => {
                let (of, id) = self.draft(draft)?;
                Call::Finalize(of, id, text.map(|text| tag(TAGS[text])))
            }
            Deed::Abort { draft } => {
                let (of, id) = self.draft(draft)?;
                Call::Abort(of, id)
            }
            Deed::Store { at: to, key: n, blob } => Call::Store(at(to), key(n), content(blob)),
            Deed::DeleteKey { at: of, key: n } => Call::DeleteKey(at(of), key(n)),
            Deed::DeleteTag { at: of, tag: text } => Call::Delete(at(of), Reference::Tag(tag(TAGS[text]))),
            Deed::DeleteManifest { at: of, manifest } => {
                Call::Delete(at(of), Reference::Digest(self.manifest(&at(of), manifest)?.0))
            }
            Deed::DeleteBlob { at: of, blob } => Call::DeleteBlob(at(of), sha256(&content(blob))),
            other => return self.call_of_retention(other),
        })
    }

    fn call_of_retention(&self, deed: Deed) -> Option<Call> {
        let at = |at: usize| name(REPOSITORIES[at]);
        let now = self.clock.clock().now();
        let days = |days: i64| now + days * DAY;
        Some(match deed {
            Deed::Hold { at: of, what, is_event } => {
                let kind = if is_event { HoldKind::Event } else { HoldKind::Legal };
                match what {
                    What::Repository => Call::Hold(at(of), None, kind),
                    what => Call::Hold(at(of), Some(self.item(&at(of), what)?), kind),
                }
            }
            Deed::Release { hold } => {
                let all = self.reference.holds.iter().collect();
                let (id, it) = likely(all, |(_, hold)| hold.is_in_force, hold)?;
                Call::Release(it.repository.clone(), id.clone())
            }
            Deed::Extend { at: of, what, days: n } => {
                Call::Extend(at(of), self.item(&at(of), what)?, Extension::Until(days(n)))
            }
            Deed::Promise { retention, days: n } => {
                let (of, target) = self.waiting(retention)?;
                let extension = n.map_or(Extension::ForEver, |n| Extension::Until(days(n)));
                Call::Extend(of, Item::from(target), extension)
            }
            Deed::Expect { retention } => {
                let (of, target) = self.waiting(retention)?;
                Call::Hold(of, Some(Item::from(target)), HoldKind::Event)
            }
            Deed::ForEver { at: of, what } => {
                Call::Extend(at(of), self.item(&at(of), what)?, Extension::ForEver)
            }
            Deed::Raise { at: of, what, class } => {
                let class = Extension::Class(CLASSES[class].to_owned());
                Call::Extend(at(of), self.item(&at(of), what)?, class)
            }
            Deed::Shorten { at: of, what, days: n, bypass } => {
                Call::Shorten(at(of), self.item(&at(of), what)?, days(n), bypass)
            }
            Deed::Propose { retention, by, others } => {
                let is_over = |(of, target): &&(RepositoryName, Target)| {
                    self.reference.protection_of(of, target).is_over(now)
                };
                let (of, target) = likely(self.reference.kept.keys().collect(), is_over, retention)?;
                let people = (0..PEOPLE.len()).filter(|other| *other != by).take(others).map(person);
                Call::Propose(of.clone(), Item::from(target.clone()), person(by), people.collect())
            }
            Deed::Approve { disposition, by } => {
                let is_wanted = |it: &Disposition| it.approved_at.is_none();
                let (id, it) = self.open(is_wanted, disposition)?;
                // Whoever may not is tried now and then.
                let may = |by: &usize| disposition.is_multiple_of(7) || may_approve(it, &person(*by));
                let by = (by..PEOPLE.len()).chain(0..by).find(may).unwrap_or(by);
                Call::Approve(it.repository.clone(), id.clone(), person(by))
            }
            Deed::Reject { disposition } => {
                let (id, it) = self.open(|_| true, disposition)?;
                Call::Reject(it.repository.clone(), id.clone())
            }
            Deed::Execute { disposition, by } => {
                let is_approved = |it: &Disposition| it.approved_at.is_some_and(|at| at + DAY <= now);
                let (id, it) = self.open(is_approved, disposition)?;
                Call::Execute(it.repository.clone(), id.clone(), person(by))
            }
            Deed::Plan => Call::Plan,
            Deed::Sweep => Call::Sweep,
            _ => Call::Collect,
        })
    }

    /// The nth manifest of a repository: the digest clients use, and its content.
    fn manifest(&self, of: &RepositoryName, n: usize) -> Option<(Digest, Digest)> {
        let of = self.reference.repositories.get(of)?;
        let content = nth(of.manifests.keys().collect(), n)?;
        Some((content.clone(), content.clone()))
    }

    fn open(
        &self,
        is_likely: impl Fn(&Disposition) -> bool,
        n: usize,
    ) -> Option<(&DispositionId, &Disposition)> {
        let open = self.reference.dispositions.iter().filter(|(_, it)| it.is_open);
        likely(open.collect(), |(_, it)| is_likely(it), n)
    }

    /// The nth of what waits for an event.
    fn waiting(&self, n: usize) -> Option<(RepositoryName, Target)> {
        let waiting = self.reference.kept.iter().filter(|(_, kept)| kept.from.is_none());
        nth(waiting.map(|(key, _)| key.clone()).collect(), n)
    }

    fn draft(&self, n: usize) -> Option<(RepositoryName, PackageId)> {
        let drafts = self.reference.packages.iter().filter(|(_, it)| it.is_draft());
        nth(drafts.map(|(id, it)| (it.repository.clone(), id.clone())).collect(), n)
    }

    fn item(&self, of: &RepositoryName, what: What) -> Option<Item> {
        match what {
            What::Repository => None,
            What::Tag(text) => Some(Item::Manifest(Reference::Tag(tag(TAGS[text])))),
            What::Manifest(n) => Some(Item::Manifest(Reference::Digest(self.manifest(of, n)?.1))),
            What::Package(n) => {
                let packages = self.reference.packages.iter().filter(|(_, it)| it.repository == *of);
                nth(packages.map(|(id, _)| id.clone()).collect(), n).map(Item::Package)
            }
        }
    }

    /// What an item means, as the documents say: of a manifest that is one package, the package.
    pub(super) fn target(&self, of: &RepositoryName, item: &Item) -> Option<Target> {
        let content = match item {
            Item::Package(id) => {
                let package = self.reference.packages.get(id).filter(|it| it.repository == *of);
                return package.map(|_| Target::Package(id.clone()));
            }
            Item::Manifest(Reference::Tag(tag)) => {
                self.reference.repositories.get(of)?.tags.get(tag)?.clone()
            }
            Item::Manifest(Reference::Digest(digest)) => self.reference.content(digest),
        };
        self.reference.repositories.get(of)?.manifests.get(&content)?;
        let is_it = |it: &super::reference::Package| {
            let reference = it.reference.as_ref().map(|reference| self.reference.content(reference));
            it.is_finalized() && it.repository == *of && reference.as_ref() == Some(&content)
        };
        let mut packages = self.reference.packages.iter().filter(|(_, it)| is_it(it));
        match (packages.next(), packages.next()) {
            (Some((id, _)), None) => Some(Target::Package(id.clone())),
            _ => Some(Target::Manifest(content)),
        }
    }
}

fn named(text: Option<usize>, bytes: &Bytes) -> Reference {
    text.map_or_else(|| Reference::Digest(sha256(bytes)), |text| Reference::Tag(tag(TAGS[text])))
}

fn description(class: &str) -> NewPackage {
    let description = Description { retention_class: Some(class.to_owned()), ..Description::default() };
    NewPackage { description, provenance: Object::default() }
}

fn file(path: &PackagePath, replace: bool) -> NewFile {
    NewFile { path: path.clone(), media_type: None, role: None, claimed: None, replace }
}

/// Carries a call out.
pub(super) async fn make(registry: Registry, call: Call) -> Result<Made, Error> {
    let actor = Actor::anonymous;
    match call {
        Call::Push(to, bytes) => {
            registry.push_blob(&to, actor(), &sha256(&bytes), whole(&bytes)).await?;
        }
        Call::Mount(to, digest) => drop(registry.mount_blob(&to, actor(), &digest, None).await?),
        Call::Ask(to, digest) => drop(registry.blob_to_rely_on(&to, actor(), &digest).await?),
        Call::Put(to, first, reference, bytes) => {
            for blob in first {
                registry.push_blob(&to, actor(), &sha256(&blob), whole(&blob)).await?;
            }
            registry.push_manifest(&to, actor(), &reference, vec![], None, bytes).await?;
        }
        Call::Draft(to, class) => {
            let draft = registry.create_package(&to, actor(), description(&class)).await?;
            return Ok(Made::Package(draft.id));
        }
        Call::Package(to, class, bytes, tag) => {
            let draft = registry.create_package(&to, actor(), description(&class)).await?;
            let file = file(&PATHS[0].parse().unwrap(), false);
            registry.ingest_file(&to, actor(), &draft.id, file, whole(&bytes)).await?;
            let finalize = Finalize { tag, ..Finalize::default() };
            registry.finalize_package(&to, actor(), &draft.id, finalize).await?;
            return Ok(Made::Package(draft.id));
        }
        Call::Ingest(to, id, path, bytes, replace) => {
            registry.ingest_file(&to, actor(), &id, file(&path, replace), whole(&bytes)).await?;
        }
        Call::DropFile(of, id, path) => registry.drop_file(&of, actor(), &id, &path).await?,
        Call::Finalize(to, id, tag) => {
            let finalize = Finalize { tag, ..Finalize::default() };
            registry.finalize_package(&to, actor(), &id, finalize).await?;
        }
        Call::Abort(of, id) => registry.abort_package(&of, actor(), &id).await?,
        Call::Store(to, key, bytes) => {
            let store = registry.keyed_store(&to, actor());
            store.put(&key, NewObject::default(), whole(&bytes)).await?;
        }
        Call::DeleteKey(of, key) => drop(registry.keyed_store(&of, actor()).delete(&key).await?),
        Call::Delete(of, reference) => registry.delete_manifest(&of, actor(), &reference).await?,
        Call::DeleteBlob(of, digest) => registry.delete_blob(&of, actor(), &digest).await?,
        call => return make_for_retention(&registry, call).await,
    }
    Ok(Made::Done)
}

async fn make_for_retention(registry: &Registry, call: Call) -> Result<Made, Error> {
    let (actor, reason) = (Actor::anonymous, "as the history wants it");
    match call {
        Call::Hold(of, item, kind) => {
            let new = NewHold { item, kind, matter: "case 7".to_owned(), reason: reason.to_owned() };
            return Ok(Made::Hold(registry.place_hold(&of, actor(), new).await?.id));
        }
        Call::Release(of, id) => drop(registry.release_hold(&of, actor(), &id, reason).await?),
        Call::Extend(of, item, extension) => {
            drop(registry.extend_retention(&of, actor(), &item, &extension, reason).await?);
        }
        Call::Shorten(of, item, until, bypass) => {
            drop(registry.shorten_retention(&of, actor(), &item, until, reason, bypass).await?);
        }
        Call::Propose(of, item, by, others) => {
            let id = registry.propose_disposition(&of, by, &item, reason).await?.id;
            for other in others {
                registry.approve_disposition(&of, other, &id, None).await?;
            }
        }
        Call::Approve(of, id, by) => drop(registry.approve_disposition(&of, by, &id, None).await?),
        Call::Reject(of, id) => drop(registry.reject_disposition(&of, actor(), &id, reason).await?),
        Call::Execute(of, id, by) => drop(registry.execute_disposition(&of, by, &id, None).await?),
        Call::Plan => drop(registry.collection_plan().await?),
        Call::Sweep => drop(registry.sweep().await?),
        _ => drop(registry.collect().await?),
    }
    Ok(Made::Done)
}
