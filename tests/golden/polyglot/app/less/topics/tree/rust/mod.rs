use less::topics::tree::Tree;

fn depth(tree: &Tree) -> usize {
    match tree {
        Tree::Node { left, right, .. } => 1 + depth(left).max(depth(right)),
        Tree::Leaf { .. } => 0,
    }
}

pub async fn process(tree: Tree, context: less::Context) -> less::Result<()> {
    println!("{} of {}", depth(&tree), context.message_id());
    Ok(())
}
