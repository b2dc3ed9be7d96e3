//! What a file uses: every path in it, resolved to the module that it leads to. `use` trees are
//! taken apart, `super` and `self` counted, re-exports followed.

use crate::source::{File, Module};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

/// Re-exports of re-exports that are followed.
const STEPS_MAX: usize = 16;

/// What one file says, unresolved.
#[derive(Debug, Default)]
struct FileUses {
    /// Paths, each with the module that it stands in.
    paths: Vec<(Module, Vec<String>)>,
    /// Names that `use` brings into a module.
    names: BTreeMap<(Module, String), Vec<String>>,
    /// Glob imports of a module.
    globs: Vec<(Module, Vec<String>)>,
}

struct Reader {
    here: Module,
    said: FileUses,
}

/// Which modules each module uses, itself left out.
/// # Errors
/// A file that is no Rust, by its path.
pub fn read(
    modules: &BTreeMap<Module, File>,
) -> Result<BTreeMap<Module, BTreeSet<Module>>, String> {
    let mut all = BTreeMap::new();
    for (module, file) in modules {
        let parsed =
            syn::parse_file(&file.text).map_err(|error| format!("{}: {error}", file.path))?;
        let mut reader = Reader { here: module.clone(), said: FileUses::default() };
        reader.visit_file(&parsed);
        all.insert(module.clone(), reader.said);
    }
    let mut names = BTreeMap::new();
    let mut globs = BTreeMap::<Module, Vec<Vec<String>>>::new();
    for said in all.values() {
        names.extend(said.names.clone());
        for (module, path) in &said.globs {
            globs.entry(module.clone()).or_default().push(path.clone());
        }
    }
    let resolver = Resolver { modules, names, globs };
    let used = all.iter().map(|(module, said)| {
        let targets = said.paths.iter().filter_map(|(here, path)| resolver.resolve(here, path, 0));
        (module.clone(), targets.filter(|target| target != module).collect())
    });
    Ok(used.collect())
}

struct Resolver<'a> {
    modules: &'a BTreeMap<Module, File>,
    names: BTreeMap<(Module, String), Vec<String>>,
    globs: BTreeMap<Module, Vec<Vec<String>>>,
}

impl Resolver<'_> {
    /// The module that a path leads to, when it is one of ours.
    fn resolve(&self, here: &Module, path: &[String], steps: usize) -> Option<Module> {
        if steps > STEPS_MAX {
            return None;
        }
        let mut at = here.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                at.truncate(1);
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                let is_here = self.step(&at, first).is_some();
                let is_crate = self.modules.contains_key(&vec![first.to_owned()]);
                if !is_here && is_crate {
                    at = vec![first.to_owned()];
                    rest = &path[1..];
                } else if !is_here {
                    return None;
                }
            }
        }
        for (n, name) in rest.iter().enumerate() {
            match self.step(&at, name) {
                Some(Step::Module(inner)) => at = inner,
                Some(Step::Name(target)) => {
                    let mut onward = target.clone();
                    onward.extend_from_slice(&rest[n + 1..]);
                    return self.resolve(&at, &onward, steps + 1);
                }
                None => {
                    let globs = self.globs.get(&at).into_iter().flatten();
                    let found = globs.filter_map(|glob| {
                        let inner = self.resolve(&at, glob, steps + 1)?;
                        self.step(&inner, name)?;
                        let mut onward = glob.clone();
                        onward.extend_from_slice(&rest[n..]);
                        self.resolve(&at, &onward, steps + 1)
                    });
                    return Some(found.into_iter().next().unwrap_or(self.file_of(at)?));
                }
            }
        }
        self.file_of(at)
    }

    fn step(&self, at: &Module, name: &str) -> Option<Step<'_>> {
        let mut inner = at.clone();
        inner.push(name.to_owned());
        if self.modules.contains_key(&inner) {
            return Some(Step::Module(inner));
        }
        let target = self.names.get(&(at.clone(), name.to_owned()))?;
        // `use settings;` brings a crate under its own name.
        if target.len() == 1 && target[0] == name {
            let outside = vec![name.to_owned()];
            return self.modules.contains_key(&outside).then_some(Step::Module(outside));
        }
        Some(Step::Name(target))
    }

    /// A module that stands within a file belongs to it.
    fn file_of(&self, mut at: Module) -> Option<Module> {
        while !self.modules.contains_key(&at) {
            at.pop()?;
        }
        Some(at)
    }
}

enum Step<'a> {
    Module(Module),
    Name(&'a Vec<String>),
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("cfg")
            && list.is_ok_and(|list| {
                let text = list.tokens.to_string();
                text == "test" || text.starts_with("all (test")
            })
    })
}

impl Reader {
    fn take(&mut self, tree: &UseTree, mut path: Vec<String>, is_reexport: bool) {
        match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.take(&inner.tree, path, is_reexport);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.take(tree, path.clone(), is_reexport);
                }
            }
            UseTree::Glob(_) => {
                self.said.globs.push((self.here.clone(), path.clone()));
                self.said.paths.push((self.here.clone(), path));
            }
            UseTree::Name(name) if name.ident == "self" => {
                let called = path.last().cloned().unwrap_or_default();
                self.bring(called, path, is_reexport);
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.bring(name.ident.to_string(), path, is_reexport);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                self.bring(rename.rename.to_string(), path, is_reexport);
            }
        }
    }

    /// A name that is only handed on is no use: whoever takes it uses what stands behind.
    fn bring(&mut self, name: String, path: Vec<String>, is_reexport: bool) {
        if !is_reexport {
            self.said.paths.push((self.here.clone(), path.clone()));
        }
        self.said.names.insert((self.here.clone(), name), path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.here.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.here.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        self.take(&item.tree, Vec::new(), is_reexport);
    }

    /// Who may see a thing is no use of them: `pub(in super::super)`.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if names.len() > 1 {
            self.said.paths.push((self.here.clone(), names));
        }
        visit::visit_path(self, path);
    }
}
