//! Reads the source of the project: its crates and files (`source`), what each file uses
//! (`uses`), and what follows for rooms and folders (`rooms`). Which arrows are right stands in
//! ARCHITECTURE.md (`table`). A room is a folder or a file directly below `src`.
//! Limits: a path that a macro writes, and a method that is called on a value of another room's
//! type without naming it, are no uses. Tests are left out.

pub mod rooms;
pub mod source;
pub mod table;
pub mod uses;
