//! Fenced blocks of Markdown, and what the comments before them say.

/// What a block may need that a test does not have.
pub(crate) const NEEDS: [&str; 8] =
    ["cluster", "docker", "grafana", "internet", "pipeline", "root", "source", "systemd"];

/// What a comment just before a block says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `<!-- needs: cluster -->`: it is not run, nor taken for a configuration of ours.
    Needs(String),
    /// `<!-- serves -->`: it goes on until the page ends, or another such block begins.
    Serves,
    /// `<!-- exit: 1 -->`: it ends with this code.
    Exit(i32),
    /// `<!-- output -->`: the command before it prints this; `…` stands for what varies, alone on its line for lines.
    Output,
    /// `<!-- file: gtp.yaml -->`: it is the content of this file, which the commands after it find.
    File(String),
    /// `<!-- excerpt -->`: the command before it prints these lines, among others.
    Excerpt,
}

/// A fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) marks: Vec<Mark>,
    pub(crate) text: String,
}

impl Block {
    pub(crate) fn needs(&self) -> bool {
        self.marks.iter().any(|mark| matches!(mark, Mark::Needs(_)))
    }

    pub(crate) fn is(&self, mark: &Mark) -> bool {
        self.marks.contains(mark)
    }

    pub(crate) fn exit(&self) -> i32 {
        self.marks.iter().find_map(|mark| if let Mark::Exit(code) = mark { Some(*code) } else { None }).unwrap_or(0)
    }

    pub(crate) fn file(&self) -> Option<&str> {
        self.marks.iter().find_map(|mark| if let Mark::File(name) = mark { Some(name.as_str()) } else { None })
    }
}

fn mark(comment: &str) -> Option<Mark> {
    let (name, value) = comment.split_once(": ").unwrap_or((comment, ""));
    match (name, value) {
        ("serves", "") => Some(Mark::Serves),
        ("output", "") => Some(Mark::Output),
        ("excerpt", "") => Some(Mark::Excerpt),
        ("needs", need) if NEEDS.contains(&need) => Some(Mark::Needs(need.to_owned())),
        ("exit", code) => code.parse().ok().map(Mark::Exit),
        ("file", name) if !name.is_empty() && !name.contains('/') => Some(Mark::File(name.to_owned())),
        _ => None,
    }
}

/// The blocks of a page. A comment before a block that means nothing is an error: it would be taken to mean something.
pub(crate) fn blocks(name: &str, text: &str) -> Vec<Block> {
    let (mut blocks, mut comments) = (Vec::new(), Vec::<&str>::new());
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let fence = trimmed.strip_prefix("```");
        match (open.take(), fence) {
            (Some((_, block)), Some("")) => blocks.push(block),
            (Some((indent, mut block)), _) => {
                let lead = line.len() - trimmed.len();
                block.text.push_str(&line[lead.min(indent)..]);
                block.text.push('\n');
                open = Some((indent, block));
            }
            (None, Some(language)) => {
                let understood = |comment: &str| {
                    mark(comment).unwrap_or_else(|| panic!("{name}:{}: `<!-- {comment} -->` means nothing", number + 1))
                };
                let marks = comments.drain(..).map(understood).collect();
                let (line_number, language) = (number + 1, language.trim().to_owned());
                let block = Block { line: line_number, language, marks, text: String::new() };
                open = Some((line.len() - trimmed.len(), block));
            }
            (None, None) => match trimmed.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
                Some(comment) => comments.push(comment),
                None if trimmed.is_empty() => {}
                None => comments.clear(),
            },
        }
    }
    assert!(open.is_none(), "{name}: a block does not end");
    blocks
}

#[test]
fn blocks_are_found_with_their_marks() {
    let text = "Text.\n\n<!-- exit: 1 -->\n<!-- serves -->\n```sh\nfalse\n  true\n```\n\n* a list\n  ```yaml\n  a: 1\n    b: 2\n  ```\n<!-- needs: cluster -->\ntext between\n```sh\nls\n```\n";
    let found = blocks("a page", text);
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].line, found[0].exit(), found[0].is(&Mark::Serves)), (5, 1, true));
    assert_eq!(found[0].text, "false\n  true\n");
    assert_eq!((found[1].language.as_str(), found[1].text.as_str()), ("yaml", "a: 1\n  b: 2\n"));
    assert!(!found[2].needs(), "a comment belongs to the block that it stands before");
    for nonsense in ["needs: luck", "exit: soon", "file: ../out", "serve"] {
        assert_eq!(mark(nonsense), None, "{nonsense}");
    }
}
