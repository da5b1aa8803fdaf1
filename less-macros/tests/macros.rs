//! What the attributes say of code that they can't take. `TRYBUILD=overwrite cargo test -p less-macros --test macros` rewrites the texts.

#[test]
fn wrong_uses_of_the_attributes_are_explained_where_they_stand() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
