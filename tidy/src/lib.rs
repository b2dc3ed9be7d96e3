//! Reads the source of the project: its crates and files (`source`), what each file uses
//! (`uses`), and what follows for folders and for top modules, each a folder or a file directly
//! below `src` (`top_modules`). Which arrows are right stands in ARCHITECTURE.md (`table`).
//! Limits: a path that a macro writes, and a method that is called on a value of another module's
//! type without naming it, are no uses. Tests are left out.

pub mod source;
pub mod table;
pub mod top_modules;
pub mod uses;
