//! Sounds, in the process that bounds itself.

use std::path::PathBuf;

use antiphon_hearing::{Checked, Claim, Extent, Listener, Options, Unheard};

use crate::server::executable;

fn listener() -> Listener {
    Listener { executable: executable(), arguments: vec!["hear".to_owned()] }
}

fn telephone() -> Claim {
    Claim { mime_type: Some("audio/mulaw".to_owned()), ..Claim::default() }
}

#[tokio::test]
async fn a_sound_is_checked_and_a_fault_is_told_with_its_field() {
    let checked = listener().check(&[0xff; 80_000][..], telephone(), Extent::default()).await;
    let mime_type = "audio/mulaw".to_owned();
    assert_eq!(checked, Ok(Checked { seconds: 10.0, wanted_seconds: 10.0, mime_type }));

    let claim = Claim { channels: Some(99), ..telephone() };
    let fault = listener().check(&[0xff; 80_000][..], claim, Extent::default()).await;
    let (field, message) = (Some("channels".to_owned()), "expected 1 to 8, got 99".to_owned());
    assert_eq!(fault, Err(Unheard::Fault { field, message }));

    // More than a pipe holds, to one that has stopped reading.
    let fault = listener().check(&vec![7; 4 << 20][..], Claim::default(), Extent::default()).await.unwrap_err();
    assert!(fault.to_string().starts_with("audio data is of no known type; "), "{fault}");
}

#[tokio::test]
async fn without_its_networks_listening_is_what_is_broken() {
    let heard = listener()
        .listen(
            &[0xff; 8_000][..],
            telephone(),
            Extent::default(),
            PathBuf::from("/nowhere"),
            Options::default(),
            &mut |_| (),
        )
        .await;
    match heard {
        Err(Unheard::Broken(broken)) => assert!(broken.to_string().contains("/nowhere/model.bin"), "{broken}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_process_that_dies_or_says_something_else_costs_no_more_than_its_sound() {
    let shell =
        |script: &str| Listener { executable: "/bin/sh".into(), arguments: vec!["-c".to_owned(), script.to_owned()] };
    let check = async |script| shell(script).check(&[0; 100][..], telephone(), Extent::default()).await.unwrap_err();
    let killed = check("kill -KILL $$").await;
    assert_eq!(killed.to_string(), "audio could not be processed within limits");
    assert!(matches!(check("exit 1").await, Unheard::Broken(_)));
    assert!(matches!(check("echo nonsense").await, Unheard::Broken(_)));
    assert!(matches!(check("true").await, Unheard::Broken(_)));
}
