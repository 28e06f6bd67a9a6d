// Package access decides who may do what over HTTP: tokens with scopes for
// programs, sessions for browsers, and the checks that keep another site's
// page from acting through a visitor's browser.
//
// # Who calls it
//
// cmd/freshet opens it and wraps the API's handlers with Require; web builds
// the sign-in page on SignIn, SignOut and Identify. Any number of goroutines
// may call everything here at once.
//
// # What is kept
//
// A token is 256 random bits behind a public id, `fr_<id>_<secret>`. It is
// shown once, when it is made; what is stored is its SHA-256, compared in
// constant time. A session is a row on this side and 256 random bits in an
// HttpOnly, SameSite=Lax cookie; it ends when it expires, on sign-out, and with
// the token it was opened with.
//
// # After a crash
//
// Tokens and sessions are in a bbolt file whose transactions are synced before
// they are acknowledged: what was created or revoked stays so. Only the times
// of last use, written at most once a minute a token, can be older.
//
// # Concurrency
//
// The package starts no goroutines.
package access
