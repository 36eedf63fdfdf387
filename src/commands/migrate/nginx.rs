//! nginx's notation: words, quotes, blocks, comments; each directive with its line.

/// Blocks in blocks; nginx itself has five.
const DEEPEST: usize = 32;

/// One directive: its words, and what stands in its braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directive {
    /// From one.
    pub(crate) line: usize,
    /// The name and its arguments, without quotes.
    pub(crate) words: Vec<String>,
    /// What stands in braces, where there are some.
    pub(crate) block: Option<Vec<Directive>>,
}

impl Directive {
    /// The first word.
    pub(crate) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// An argument, from zero.
    pub(crate) fn argument(&self, at: usize) -> &str {
        self.words.get(at + 1).map_or("", String::as_str)
    }

    /// The arguments.
    pub(crate) fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// Where the notation is not nginx's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) what: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

struct Lexer<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
    column: usize,
}

impl Lexer<'_> {
    fn take(&mut self) -> Option<char> {
        let character = self.rest.next()?;
        if character == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(character)
    }

    fn mistake(&self, what: &'static str) -> Mistake {
        Mistake { line: self.line, column: self.column, what }
    }

    /// The next token with its line.
    fn next(&mut self) -> Result<Option<(Token, usize)>, Mistake> {
        while let Some(&character) = self.rest.peek() {
            if character == '#' {
                while self.rest.peek().is_some_and(|next| *next != '\n') {
                    self.take();
                }
            } else if character.is_whitespace() || character == '\u{feff}' {
                self.take();
            } else {
                break;
            }
        }
        let line = self.line;
        let Some(&character) = self.rest.peek() else { return Ok(None) };
        let token = match character {
            '{' => Token::Open,
            '}' => Token::Close,
            ';' => Token::End,
            '"' | '\'' => return self.quoted(character).map(|word| Some((Token::Word(word), line))),
            _ => return Ok(Some((Token::Word(self.bare()), line))),
        };
        self.take();
        Ok(Some((token, line)))
    }

    fn quoted(&mut self, quote: char) -> Result<String, Mistake> {
        let unclosed = self.mistake("a quote is opened here and never closed");
        self.take();
        let mut word = String::new();
        loop {
            match self.take().ok_or(unclosed.clone())? {
                '\\' => match self.take().ok_or(unclosed.clone())? {
                    escaped if escaped == quote || escaped == '\\' => word.push(escaped),
                    other => word.extend(['\\', other]),
                },
                character if character == quote => return Ok(word),
                character => word.push(character),
            }
        }
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(&character) = self.rest.peek() {
            let is_variable = character == '{' && word.ends_with('$');
            if is_variable {
                while let Some(inside) = self.take() {
                    word.push(inside);
                    if inside == '}' {
                        break;
                    }
                }
                continue;
            }
            if character.is_whitespace() || matches!(character, ';' | '{' | '}') {
                break;
            }
            word.extend(self.take());
            if character == '\\' {
                word.extend(self.take());
            }
        }
        word
    }

    /// What another language has put into braces, up to their end.
    fn skip_braces(&mut self) -> Result<(), Mistake> {
        let unclosed = self.mistake("a block is opened here and never closed");
        let mut depth = 1_usize;
        while depth > 0 {
            match self.take().ok_or(unclosed.clone())? {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads a configuration, a block or a snippet; its first line counts as `first`.
pub(crate) fn parse(text: &str, first: usize) -> Result<Vec<Directive>, Mistake> {
    let mut lexer = Lexer { rest: text.chars().peekable(), line: first, column: 1 };
    let directives = block(&mut lexer, 0)?;
    Ok(directives)
}

fn block(lexer: &mut Lexer<'_>, depth: usize) -> Result<Vec<Directive>, Mistake> {
    if depth > DEEPEST {
        return Err(lexer.mistake("there are too many blocks in blocks"));
    }
    let mut directives = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut begins = 0;
    while let Some((token, line)) = lexer.next()? {
        if words.is_empty() {
            begins = line;
        }
        match token {
            Token::Word(word) => words.push(word),
            Token::End if words.is_empty() => {}
            Token::End => {
                directives.push(Directive { line: begins, words: std::mem::take(&mut words), block: None });
            }
            Token::Open if words.is_empty() => return Err(lexer.mistake("a block has no name")),
            Token::Open => {
                let words = std::mem::take(&mut words);
                let is_foreign = words.first().is_some_and(|name| name.ends_with("_by_lua_block"));
                let inside = if is_foreign {
                    lexer.skip_braces()?;
                    Vec::new()
                } else {
                    block(lexer, depth + 1)?
                };
                directives.push(Directive { line: begins, words, block: Some(inside) });
            }
            Token::Close if !words.is_empty() => return Err(lexer.mistake("a directive does not end with `;`")),
            Token::Close if depth == 0 => return Err(lexer.mistake("a `}` closes nothing")),
            Token::Close => return Ok(directives),
        }
    }
    if !words.is_empty() {
        return Err(lexer.mistake("a directive does not end with `;`"));
    }
    if depth > 0 {
        return Err(lexer.mistake("a block is not closed by `}`"));
    }
    Ok(directives)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_quotes_comments_and_blocks_are_read() {
        let text = "# a comment; with { signs\nserver {\n  proxy_set_header Authorization \"Bearer # ${token};\";\n  \
                    location ~ ^/api\\{x { return 200 'it''s'; }\n}\n";
        let read = parse(text, 1).unwrap();
        let server = &read[0];
        assert_eq!((server.line, server.name()), (2, "server"));
        let inside = server.block.as_ref().unwrap();
        assert_eq!(inside[0].words, ["proxy_set_header", "Authorization", "Bearer # ${token};"]);
        assert_eq!(inside[0].line, 3);
        assert_eq!(inside[1].words, ["location", "~", "^/api\\{x"]);
    }

    #[test]
    fn what_nginx_does_not_take_is_told_with_its_place() {
        for (text, line, what) in [
            ("server {\n listen 80\n}", 3, "does not end"),
            ("a \"b", 1, "never closed"),
            ("server { listen 80;", 1, "not closed"),
            ("}", 1, "closes nothing"),
            ("{ }", 1, "no name"),
            ("listen 80", 1, "does not end"),
        ] {
            let mistake = parse(text, 1).unwrap_err();
            assert!(mistake.line == line && mistake.what.contains(what), "{text}: {mistake:?}");
        }
        assert!(parse(&"a {".repeat(100), 1).is_err());
        assert!(parse("content_by_lua_block { if x then { } end }", 1).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-z{};\"'#$\\\\\n ]{0,120}") {
            let _ = parse(&text, 1);
        }

        #[test]
        fn words_come_back(words in prop::collection::vec("[a-z$/:._0-9-]{1,12}", 1..6)) {
            let read = parse(&format!("{};", words.join(" ")), 1).unwrap();
            prop_assert_eq!(&read[0].words, &words);
        }
    }
}
