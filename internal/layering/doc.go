// Package layering holds the module's import rules as data and checks them.
//
// Imports point down only. Each package tree has one [Rule] that lists what its
// production files may import from this module and from outside, and what its
// test files may import besides. A package that no rule covers is a violation,
// and so is a rule that names a package, or a module, that does not exist: a
// rule that guards nothing would otherwise read as protection.
//
// The checker reads import clauses from source and never consults build
// constraints, so a file for another operating system is held to the same rules.
// It is pure: it reads an [io/fs.FS] and returns values.
package layering
