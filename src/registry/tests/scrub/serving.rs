//! What a reader gets whom damage meets before the scrub does, and what is on record afterwards.

use super::*;

on_both![
    wrong_bytes_were_served_until_a_scrub_found_them,
    what_was_missing_or_cut_short_left_no_event_when_it_was_asked_for,
    a_read_that_went_wrong_once_is_no_damage,
    ranges_are_not_compared_and_neither_is_anything_where_that_is_set,
    a_part_of_a_small_blob_was_served_with_wrong_bytes,
];

impl Vault {
    /// All bytes a reader gets, and whether they came to their end.
    async fn read(&self, digest: &Digest, range: Option<ByteRange>) -> Result<(Vec<u8>, bool), Error> {
        let blob = self.registry.blob(&name("a"), digest).await?;
        let mut body = self.registry.open_blob(&blob, range).await?.body;
        let mut bytes = Vec::new();
        while let Some(frame) = body.next().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame),
                Err(_) => return Ok((bytes, false)),
            }
        }
        Ok((bytes, true))
    }

    async fn is_refused(&self, digest: &Digest) {
        for range in [None, Some(ByteRange { start: 0, end: 1 })] {
            let read = self.read(digest, range).await;
            assert!(matches!(read, Err(Error::BlobDamaged { .. })), "{read:?}");
        }
    }
}

async fn wrong_bytes_were_served_until_a_scrub_found_them(on: On) {
    let vault = Vault::new(on).await;
    let frame = crate::storage::MAX_FRAME;
    for (seed, length) in (1..).zip([1, 1000, frame, frame + 1, LARGE]) {
        let content: Bytes = pattern(length).iter().map(|byte| byte ^ seed).collect::<Vec<_>>().into();
        let digest = vault.push("a", &content).await;
        assert_eq!(vault.read(&digest, None).await.unwrap(), (content.to_vec(), true));
        vault.damage(&content, Wrong::Flipped).await;
        let before = vault.registry.last_sequence();
        let whole_range = (seed % 2 == 0).then_some(ByteRange { start: 0, end: length as u64 });
        match vault.read(&digest, whole_range).await {
            // Before the first byte.
            Err(error) if length <= frame => assert!(error.is_damage(), "{error:?}"),
            Ok((bytes, false)) if length > frame => {
                assert!(bytes.len() < length, "the last frame is held back");
            }
            read => panic!("{length} bytes: {read:?}"),
        }
        assert_eq!(vault.events_after(before).await, ["v1.blob.corrupted"], "{length} bytes");
        vault.is_refused(&digest).await;
        let found = vault.registry.damaged("", 10).await.unwrap();
        assert_eq!((found.len(), found[0].trouble, &found[0].run), (1, Trouble::Corrupt, &None));
        assert!(found[0].finding.starts_with("hashes to "), "{found:?}");
        // The scrub has nothing to add, and a push repairs it.
        let before = vault.registry.last_sequence();
        assert_eq!(vault.cycle().await.damaged, 1);
        vault.push("a", &content).await;
        assert_eq!(vault.events_after(before).await, ["v1.scrub.completed", "v1.blob.repaired"]);
        assert_eq!(vault.read(&digest, None).await.unwrap(), (content.to_vec(), true));
    }
    vault.check().await;
}

async fn what_was_missing_or_cut_short_left_no_event_when_it_was_asked_for(on: On) {
    let vault = Vault::new(on).await;
    let part = Some(ByteRange { start: 0, end: 10 });
    for (seed, wrong, range) in (1..)
        .zip([Wrong::Gone, Wrong::Truncated, Wrong::Longer])
        .flat_map(|(seed, wrong)| [(seed, wrong, None), (seed + 10, wrong, part)])
    {
        let content = bytes(seed);
        let digest = vault.push("a", &content).await;
        vault.damage(&content, wrong).await;
        let before = vault.registry.last_sequence();
        let error = vault.read(&digest, range).await.unwrap_err();
        assert!(error.is_damage(), "{error:?}");
        assert_eq!(vault.events_after(before).await, ["v1.blob.corrupted"], "{wrong:?}");
        vault.is_refused(&digest).await;
        assert_eq!(vault.registry.last_sequence(), before + 1, "it is on record once");
    }
}

async fn a_read_that_went_wrong_once_is_no_damage(on: On) {
    let vault = Vault::new(on).await;
    let content = pattern(LARGE);
    let digest = vault.push("a", &content).await;
    vault.faults.arm(Op::Get, 1, Fault::Shorten { keep: 1000, ending: Ending::Silent });
    let before = vault.registry.last_sequence();
    let (read, is_whole) = vault.read(&digest, None).await.unwrap();
    assert!(read.len() <= 1000 && !is_whole);
    assert_eq!(vault.events_after(before).await, ["v1.blob.unreadable"]);
    assert_eq!(vault.read(&digest, None).await.unwrap(), (content.to_vec(), true));
    assert_eq!(vault.cycle().await.recovered, 1);
    vault.check().await;
}

async fn ranges_are_not_compared_and_neither_is_anything_where_that_is_set(on: On) {
    let vault = Vault::with(on, |options| options.verify_reads = false).await;
    let content = pattern(LARGE);
    let digest = vault.push("a", &content).await;
    vault.damage(&content, Wrong::Flipped).await;
    let before = vault.registry.last_sequence();
    let (read, is_whole) = vault.read(&digest, None).await.unwrap();
    assert!(is_whole && read.len() == LARGE && read != content);
    let mut vault = vault;
    vault.options.verify_reads = true;
    vault.restart().await;
    let part = ByteRange { start: 1, end: LARGE as u64 };
    let (read, is_whole) = vault.read(&digest, Some(part)).await.unwrap();
    assert!(is_whole && read.len() == LARGE - 1);
    assert_eq!(vault.registry.last_sequence(), before);
    assert!(!vault.read(&digest, None).await.unwrap().1);
}

async fn a_part_of_a_small_blob_was_served_with_wrong_bytes(on: On) {
    let vault = Vault::new(on).await;
    for (seed, length) in (1..).zip([21, crate::storage::MAX_FRAME]) {
        let content: Bytes = pattern(length).iter().map(|byte| byte ^ seed).collect::<Vec<_>>().into();
        let digest = vault.push("a", &content).await;
        let end = length as u64;
        for (start, end) in [(0, 1), (11, 15), (end - 1, end), (1, end)] {
            let read = vault.read(&digest, Some(ByteRange { start, end })).await.unwrap();
            let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
            assert_eq!(read, (content[start..end].to_vec(), true));
        }
        vault.damage(&content, Wrong::Flipped).await;
        let before = vault.registry.last_sequence();
        let read = vault.read(&digest, Some(ByteRange { start: 11, end: 15 })).await;
        assert!(read.as_ref().is_err_and(Error::is_damage), "{read:?}");
        assert_eq!(vault.events_after(before).await, ["v1.blob.corrupted"]);
        vault.is_refused(&digest).await;
    }
}

#[tokio::test]
async fn readers_in_another_storage_put_nothing_on_record() {
    let vault = Vault::new(On::Sqlite).await;
    let digest = vault.push("a", &bytes(1)).await;
    let elsewhere = DataPlane::new(Arc::new(Memory::with_clock(vault.clock.clock())));
    let (options, clock) = (vault.options.clone(), vault.clock.clock());
    let registry = Registry::open_as(vault.db.clone(), elsewhere, clock, options, false).await.unwrap();
    let before = registry.last_sequence();
    let blob = registry.blob(&name("a"), &digest).await.unwrap();
    assert!(registry.open_blob(&blob, None).await.err().unwrap().is_damage());
    assert_eq!(registry.last_sequence(), before);
}

#[tokio::test]
async fn readers_of_one_damaged_blob_at_once_put_it_on_record_once() {
    let vault = Vault::new(On::Sqlite).await;
    let content = pattern(LARGE);
    let digest = vault.push("a", &content).await;
    vault.damage(&content, Wrong::Flipped).await;
    let before = vault.registry.last_sequence();
    let blob = vault.registry.blob(&name("a"), &digest).await.unwrap();
    let readers = (0..8).map(|_| {
        let (registry, blob) = (vault.registry.clone(), blob.clone());
        tokio::spawn(
            async move { collect(registry.open_blob(&blob, None).await.unwrap().body).await.is_ok() },
        )
    });
    for reader in readers.collect::<Vec<_>>() {
        assert!(!reader.await.unwrap());
    }
    assert_eq!(vault.events_after(before).await, ["v1.blob.corrupted"]);
}

#[tokio::test]
async fn the_files_of_a_damaged_archive_were_those_of_a_package() {
    use crate::registry::tests::packages_pushed::{archive, artifact, packed};
    for options in [true, false] {
        let vault = Vault::with(On::Sqlite, |it| it.verify_reads = options).await;
        // Damaged between the frames, at the end, and where the archive is read no further.
        for (seed, at) in (1..).zip([600, 300_000, usize::MAX]) {
            let content: Vec<u8> = pattern(400_000).iter().map(|byte| byte ^ seed).collect();
            let layer = Bytes::from(packed("run/report.json", &content));
            vault.push("src", &layer).await;
            let key = vault.key_of(&layer).await;
            let mut other = layer.to_vec();
            let at = at.min(layer.len() - 1);
            other[at] ^= 1;
            vault.write(&key, other.into()).await;
            let empty = Bytes::from_static(crate::package::mapping::names::EMPTY_CONFIG);
            vault.push("pkg", &empty).await;
            let (from, to, digest) = (name("src"), name("pkg"), sha256(&layer));
            let mounted = vault.registry.mount_blob(&to, Actor::anonymous(), &digest, Some(&from));
            assert!(mounted.await.unwrap().is_some());
            let manifest = Bytes::from(artifact(&[archive(&layer)]));
            let put = async || {
                let (actor, reference) = (Actor::anonymous(), "v1".parse().unwrap());
                let bytes = manifest.clone();
                vault.registry.push_manifest(&name("pkg"), actor, &reference, vec![], None, bytes).await
            };
            let before = vault.registry.last_sequence();
            let refused = put().await.unwrap_err();
            assert!(refused.is_damage(), "{refused:?}");
            assert_eq!(vault.events_after(before).await, ["v1.blob.corrupted"]);
            // From then on whoever has the archive is asked for it.
            let refused = put().await.unwrap_err();
            assert!(
                matches!(&refused, Error::ReferencesUnknown(it) if *it == [digest.clone()]),
                "{refused:?}"
            );
            vault.push("pkg", &layer).await;
            let id = put().await.unwrap().package.unwrap();
            let files = vault.registry.package_files(&id, "", 10).await.unwrap();
            assert_eq!(files[0].file.sha256, sha256(&content));
        }
        let packages = vault.registry.packages(&name("pkg"), &Filter::default(), "", 10).await.unwrap();
        assert_eq!(packages.len(), 3);
        vault.check().await;
    }
}
