// Package inbound takes what people answer from where they were told: presses of
// buttons in Slack and Telegram, and mails. Mail that is no answer pages, by the
// routing key in its address.
//
// Who acts is known by proof, never by claim: Slack signs its requests, Telegram
// says a secret or is asked with the bot's token, and the address for answers to a
// mail is signed for the one whom the mail was sent to. Whoever is not a person of
// the configuration acts under the name that the service gives him.
//
// Everything is taken at most once or does nothing the second time, and is bounded:
// sizes, connections, times.
package inbound
