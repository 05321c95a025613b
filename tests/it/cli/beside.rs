//! What works beside a running server.

use crate::support::{Repo, Server};

#[test]
fn looking_works_beside_a_server_that_is_written_to() {
    let server = Server::start();
    let client = server.client();
    let repo = Repo::new(&client, "busy");
    repo.push_artifact("first");
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            for arguments in [&["health"][..], &["verify"], &["replay", "--check"], &["verify", "--json"]] {
                server.run(arguments).expect(0);
            }
        });
        let mut pushed = 0;
        while !looking.is_finished() || pushed == 0 {
            pushed += 1;
            repo.push_artifact(&format!("t{pushed}"));
        }
        looking.join().unwrap();
    });
    client.get("/readyz").expect(200);
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[test]
fn looking_works_after_a_crash() {
    let mut server = Server::start();
    Repo::new(&server.client(), "a").push_artifact("v1");
    server.kill();
    for arguments in [&["health"][..], &["verify"], &["replay", "--check"], &["replay"], &["migrate"]] {
        server.run(arguments).expect(0);
    }
}
