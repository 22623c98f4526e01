// Package chattonic is a client for the stats API of Chat-Tonic, a chat
// platform for contact centres.
//
// A [Client] asks one team. [Client.Operators] and [Client.Dashboard] read
// statistics over a [Window]; [Client.ExportNPS] has Chat-Tonic send a report
// by e-mail. Every failure is an [Error].
//
// The package passes numbers on as they came. The API does not document the
// unit of its durations nor the scale of its scores, so neither is assumed here.
package chattonic
