//! A large app.

use std::time::Instant;

use crate::stage::Stage;

#[test]
fn two_hundred_topics_with_three_subscribers_each_are_deployed_in_minutes() {
    let stage = Stage::on("LESS_TEST_MINISTACK", &[]);
    for topic in 0..200 {
        for subscriber in ["audit", "book", "mail"] {
            stage.add(&format!("topic_{topic}/{subscriber}"));
        }
    }
    let timed = |what: &str, run: &dyn Fn()| {
        let began = Instant::now();
        run();
        let took = began.elapsed();
        println!("{what}: {:.1} s", took.as_secs_f64());
        assert!(took.as_secs() < 300, "{what} took {took:?}");
    };
    timed("deploying 200 topics with 3 subscribers each", &|| {
        let said = stage.deploy(&[]);
        assert!(said.contains("[less]   2000/2000 "), "{said}");
    });
    timed("planning that again", &|| assert_eq!(stage.plan().1, 0));
    timed("destroying it", &|| {
        let ended = stage.less(&["destroy", "--stage", "prod", "--yes", "--drop-messages"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    });
}
