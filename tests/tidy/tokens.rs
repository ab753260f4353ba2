//! The paths in a stream of tokens. Macros' bodies are read like any other code: what looks like a
//! path is one.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{ItemUse, UseTree, Visibility};

/// A path somewhere in a file, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// A `mod` or a re-export, which offers a name to others and does not use it.
    pub(crate) declares: bool,
    /// In code that only `cfg(test)` compiles.
    pub(crate) test: bool,
}

/// What a `use` brings into its module.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Import {
    /// `None` for all names of the path.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) mentions: Vec<Mention>,
    pub(crate) imports: Vec<Import>,
}

impl Found {
    pub(crate) fn add_use(&mut self, item: &ItemUse, test: bool) {
        if item.leading_colon.is_none() {
            let declares = !matches!(item.vis, Visibility::Inherited);
            self.add_tree(&item.tree, &mut Vec::new(), declares, test);
        }
    }

    fn add_tree(&mut self, tree: &UseTree, path: &mut Vec<String>, declares: bool, test: bool) {
        let (ident, name) = match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.add_tree(&step.tree, path, declares, test);
                path.pop();
                return;
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_tree(tree, path, declares, test));
            }
            UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                self.mentions.push(Mention { path: path.clone(), line, declares, test });
                return self.imports.push(Import { name: None, path: path.clone() });
            }
            UseTree::Name(leaf) if leaf.ident == "self" => (&leaf.ident, path.last().cloned()),
            UseTree::Name(leaf) => (&leaf.ident, Some(leaf.ident.to_string())),
            UseTree::Rename(leaf) => (&leaf.ident, Some(leaf.rename.to_string())),
        };
        let mut full = path.clone();
        if ident != "self" || full.is_empty() {
            full.push(ident.to_string());
        }
        self.mentions.push(Mention { path: full.clone(), line: ident.span().start().line, declares, test });
        self.imports.push(Import { name, path: full });
    }

    /// Takes whatever looks like a path. A single word counts if it is written like a type, or
    /// called: others are variables, nearly always.
    pub(crate) fn add_code(&mut self, tokens: TokenStream, test: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        self.add_slice(&tokens, test);
    }

    fn add_slice(&mut self, tokens: &[TokenTree], test: bool) {
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at] {
                TokenTree::Group(group) => {
                    self.add_code(group.stream(), test);
                    1
                }
                TokenTree::Punct(punct) if punct.as_char() == '#' => match attribute(&tokens[at..]) {
                    Attribute::Doc => 2,
                    Attribute::Test => {
                        let marked = 2 + marked_length(&tokens[at + 2..]);
                        self.add_slice(&tokens[at + 2..at + marked], true);
                        marked
                    }
                    Attribute::Other => 1,
                },
                // The next token is a lifetime, a field or a method; or the second dot of a range.
                TokenTree::Punct(punct) if matches!(punct.as_char(), '\'' | '.') => 2,
                // An item of a type in angle brackets, which the path before it does not name.
                TokenTree::Punct(_) if is_path_separator(&tokens[at..]) && is_ident(tokens.get(at + 2)) => 3,
                TokenTree::Ident(ident) => match ident.to_string().as_str() {
                    "use" => self.add_inner_use(&tokens[at..], test),
                    "pub" if is_group(tokens.get(at + 1), Delimiter::Parenthesis) => 2,
                    "fn" | "mod" if is_ident(tokens.get(at + 1)) => 2,
                    _ => self.add_path(&tokens[at..], test),
                },
                TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
            };
        }
    }

    /// A `use` inside a function counts as one of the module.
    fn add_inner_use(&mut self, tokens: &[TokenTree], test: bool) -> usize {
        let length = tokens.iter().take_while(|token| !is_punct(Some(token), ';')).count() + 1;
        let tokens = tokens[..length.min(tokens.len())].iter().cloned();
        match syn::parse2::<ItemUse>(tokens.collect()) {
            Ok(item) => self.add_use(&item, test),
            // Made of a macro's variables; or that of `impl Trait + use<'a>`.
            Err(_) => return 1,
        }
        length
    }

    fn add_path(&mut self, tokens: &[TokenTree], test: bool) -> usize {
        let mut path = Vec::new();
        let mut at = 0;
        while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
            path.push(ident.to_string());
            at += 1;
            if !(is_path_separator(&tokens[at..]) && is_ident(tokens.get(at + 2))) {
                break;
            }
            at += 2;
        }
        let called = is_group(tokens.get(at), Delimiter::Parenthesis) || is_punct(tokens.get(at), '!');
        if path.len() > 1 || called || path[0].starts_with(char::is_uppercase) {
            self.mentions.push(Mention { path, line: tokens[0].span().start().line, declares: false, test });
        }
        at
    }
}

enum Attribute {
    Doc,
    Test,
    Other,
}

/// What begins with this `#`.
fn attribute(tokens: &[TokenTree]) -> Attribute {
    let Some(TokenTree::Group(group)) = tokens.get(1) else { return Attribute::Other };
    match group.stream().into_iter().next() {
        Some(TokenTree::Ident(name)) if name == "doc" => Attribute::Doc,
        Some(TokenTree::Ident(name)) if name == "cfg" && is_test(group.stream()) => Attribute::Test,
        _ => Attribute::Other,
    }
}

/// Whether an attribute's tokens are `cfg(test)`.
pub(crate) fn is_test(attribute: TokenStream) -> bool {
    attribute.to_string().replace(' ', "") == "cfg(test)"
}

/// How many tokens belong to the item, statement or field that an attribute before it marks.
fn marked_length(tokens: &[TokenTree]) -> usize {
    let mut angles = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return at + 1,
            TokenTree::Punct(punct) => match punct.as_char() {
                ';' => return at + 1,
                ',' if angles == 0 => return at + 1,
                '<' => angles += 1,
                '>' if angles > 0 && !is_punct(at.checked_sub(1).map(|before| &tokens[before]), '-') => angles -= 1,
                _ => {}
            },
            _ => {}
        }
    }
    tokens.len()
}

fn is_path_separator(tokens: &[TokenTree]) -> bool {
    is_punct(tokens.first(), ':') && is_punct(tokens.get(1), ':')
}

fn is_ident(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Ident(_)))
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_group(token: Option<&TokenTree>, wanted: Delimiter) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == wanted)
}
