// Package chattonic is a client for the stats API of Chat-Tonic, a chat
// platform for contact centres.
//
// A [Client] calls the API for one team. [Client.Operators] and [Client.Dashboard]
// read statistics for a [Window]. [Client.ExportNPS] requests a report by e-mail. A
// call that fails returns an [Error].
//
// The API documents neither the unit of its durations nor the scale of its scores, so
// the package returns numbers unchanged.
//
// The module has no public address, so other modules import this package from a copy of the
// repository: by a replace directive, or by a rename of the module.
package chattonic
