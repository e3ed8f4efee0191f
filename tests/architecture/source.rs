//! One file of src/ as the rules see it: the paths that it names and the texts that it contains, without what is
//! compiled for tests only.

use std::collections::BTreeMap;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, Expr, ExprLit, ImplItemFn, Item, ItemConst, ItemEnum, ItemFn, ItemImpl, ItemMacro, ItemMod,
    ItemStatic, ItemStruct, ItemTrait, ItemType, ItemUse, Lit, LitStr, Macro, Meta, MetaList, Signature, Token,
    UseTree,
};

/// A path in code, such as `std::env::var` or `super::Failure`.
#[derive(Debug)]
pub struct Named {
    pub line: usize,
    pub path: Vec<String>,
    /// The same from the root of the crate, if it leads to something of this crate.
    pub absolute: Option<Vec<String>>,
    /// Whether a `use` names it.
    pub is_import: bool,
}

/// A string literal, or a doc comment.
#[derive(Debug)]
pub struct Text {
    pub line: usize,
    pub text: String,
}

#[derive(Debug)]
pub struct Function {
    pub line: usize,
    pub name: String,
    pub lines: usize,
}

#[derive(Debug, Default)]
pub struct Source {
    /// Its path below the root of the repository.
    pub name: String,
    /// Its module: `["gateway", "callers", "auth"]`.
    pub module: Vec<String>,
    pub named: Vec<Named>,
    pub texts: Vec<Text>,
    pub functions: Vec<Function>,
    /// What its imports call things: `Error` → `["crate", "upstream", "Error"]`.
    pub imports: BTreeMap<String, Vec<String>>,
    /// The environment variables that its flags have.
    pub variables: Vec<String>,
    /// Its constants that are texts, by name.
    constants: BTreeMap<String, String>,
    /// The module inside of the file that is being read.
    inside: Vec<String>,
    /// The modules that it declares, and whether for tests only.
    pub children: BTreeMap<String, bool>,
}

impl Source {
    pub fn parse(name: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut source = Self { name: name.to_owned(), module: module_of(name), ..Self::default() };
        source.visit_file(&file);
        // `env = CERT`
        let named = source.variables.iter().map(|name| source.constants.get(name).unwrap_or(name).clone());
        source.variables = named.collect();
        source
    }

    /// The module at the top of src/ that the file belongs to.
    pub fn top(&self) -> &str {
        &self.module[0]
    }

    pub fn fault(&self, line: usize, sentence: &str) -> String {
        format!("{}:{line}: {sentence}", self.name)
    }

    fn names(&mut self, line: usize, path: Vec<String>, is_import: bool) {
        if !path.is_empty() {
            let absolute = absolute(&path, &[&self.module[..], &self.inside].concat());
            self.named.push(Named { line, path, absolute, is_import });
        }
    }

    fn imported(&mut self, tree: &UseTree, mut path: Vec<String>) {
        let line = tree.span().start().line;
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.imported(&step.tree, path);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.imported(tree, path.clone())),
            UseTree::Glob(_) => self.names(line, path, true),
            UseTree::Name(name) => self.import(line, path, &name.ident.to_string(), &name.ident.to_string()),
            UseTree::Rename(name) => self.import(line, path, &name.ident.to_string(), &name.rename.to_string()),
        }
    }

    fn import(&mut self, line: usize, mut path: Vec<String>, name: &str, called: &str) {
        let called = if called == "self" { path.last().cloned().unwrap_or_default() } else { called.to_owned() };
        if name != "self" {
            path.push(name.to_owned());
        }
        if self.inside.is_empty() {
            self.imports.insert(called, path.clone());
        }
        self.names(line, path, true);
    }

    /// The paths and texts in the tokens of a macro, which may be of any syntax.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        let is_punct = |wanted| move |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == wanted);
        // Behind `env =`.
        let mut is_variable = false;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse2::<LitStr>(TokenTree::Literal(literal).into()) {
                        self.variables.extend(is_variable.then(|| text.value()));
                        self.visit_lit_str(&text);
                    }
                }
                TokenTree::Ident(ident) => {
                    let (line, mut path) = (ident.span().start().line, vec![ident.to_string()]);
                    while tokens.next_if(is_punct(':')).is_some() {
                        tokens.next_if(is_punct(':'));
                        if let Some(TokenTree::Ident(next)) = tokens.next_if(|next| matches!(next, TokenTree::Ident(_)))
                        {
                            path.push(next.to_string());
                        }
                    }
                    self.variables.extend(is_variable.then(|| ident.to_string()));
                    is_variable = path == ["env"] && tokens.next_if(is_punct('=')).is_some();
                    self.names(line, path, false);
                }
                TokenTree::Punct(_) => {}
            }
        }
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        let (line, end) = (signature.span().start().line, block.span().end().line);
        self.functions.push(Function { line, name: signature.ident.to_string(), lines: end - line + 1 });
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        if let Item::Mod(ItemMod { attrs, ident, content: None, .. }) = item {
            self.children.insert(ident.to_string(), is_for_tests(attrs));
        }
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.inside.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.inside.pop();
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            self.function(&item.sig, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &*item.expr {
            self.constants.insert(item.ident.to_string(), text.value());
        }
        visit::visit_item_const(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imported(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.names(path.span().start().line, names, false);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        self.visit_path(&invoked.path);
        self.tokens(invoked.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.tokens(list.tokens.clone());
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.texts.push(Text { line: text.span().start().line, text: text.value() });
    }
}

/// A path from the root of the crate, if it begins there or in a module above.
pub fn absolute(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => Some([&module[..module.len().checked_sub(ups)?], &path[ups..]].concat()),
        _ => None,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(ItemConst { attrs, .. })
        | Item::Enum(ItemEnum { attrs, .. })
        | Item::Fn(ItemFn { attrs, .. })
        | Item::Impl(ItemImpl { attrs, .. })
        | Item::Macro(ItemMacro { attrs, .. })
        | Item::Mod(ItemMod { attrs, .. })
        | Item::Static(ItemStatic { attrs, .. })
        | Item::Struct(ItemStruct { attrs, .. })
        | Item::Trait(ItemTrait { attrs, .. })
        | Item::Type(ItemType { attrs, .. })
        | Item::Use(ItemUse { attrs, .. }) => attrs,
        _ => &[],
    }
}

/// Whether `#[cfg(test)]`, or `#[cfg(all(test, …))]`, stands before an item.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let Ok(condition) = attribute.parse_args::<Meta>() else { return false };
        let all = |list: &MetaList| list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        match &condition {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => {
                all(list).is_ok_and(|parts| parts.iter().any(|part| part.path().is_ident("test")))
            }
            _ => false,
        }
    })
}

/// `src/gateway/callers/mod.rs` → `["gateway", "callers"]`.
fn module_of(name: &str) -> Vec<String> {
    let parts = Path::new(name.trim_start_matches("src/")).with_extension("");
    let parts = parts.iter().map(|part| part.to_str().unwrap().to_owned());
    parts.filter(|part| part != "mod").collect()
}
