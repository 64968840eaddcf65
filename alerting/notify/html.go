package notify

// emailHTML is the HTML part of an email. Mail programs know no style sheets.
const emailHTML = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{ .Title }}</title></head>
<body style="margin:0;padding:24px 12px;background:#f4f5f7;font-family:-apple-system,Segoe UI,Roboto,sans-serif;color:#1c2024">
<table role="presentation" width="100%" cellspacing="0" cellpadding="0" style="max-width:640px;margin:0 auto;background:#ffffff;border-radius:8px;border-top:4px solid {{ .Color }}">
<tr><td style="padding:20px 24px">
<h2 style="margin:0 0 12px;font-size:18px;line-height:1.35">{{ .Title }}</h2>
{{- if not .General }}
<table role="presentation" cellspacing="0" cellpadding="0" style="font-size:14px;margin-bottom:12px">
<tr><td style="color:#5c6670;padding:2px 16px 2px 0">Status</td><td>{{ .StateText }}</td></tr>
<tr><td style="color:#5c6670;padding:2px 16px 2px 0">Severity</td><td>{{ .Incident.Severity }}</td></tr>
{{- if not .Over }}{{ with .Value }}
<tr><td style="color:#5c6670;padding:2px 16px 2px 0">Value</td><td>{{ . }}{{ with $.Threshold }} <span style="color:#5c6670">alerts when {{ . }}</span>{{ end }}</td></tr>{{ end }}{{ end }}
</table>
{{- end }}
<pre style="font-family:inherit;font-size:14px;line-height:1.5;white-space:pre-wrap;margin:0 0 16px">{{ .Body }}</pre>
{{- if .Picture }}
<img src="cid:chart@belfry" alt="the last hour" width="592" style="width:100%;max-width:592px;height:auto;border:1px solid #e4e7eb;border-radius:6px;margin-bottom:16px">
{{- end }}
{{- if not .Over }}{{ with .LogLines }}
<pre style="font-family:Menlo,Consolas,monospace;font-size:12px;line-height:1.5;white-space:pre-wrap;background:#f4f5f7;border-radius:6px;padding:10px 12px;margin:0 0 16px">{{ range . }}{{ clock .At }} {{ .Text }}
{{ end }}</pre>{{ end }}{{ end }}
<p style="margin:0;font-size:14px">
{{- if and .AcknowledgeURL (not .Over) }}<a href="{{ .AcknowledgeURL }}" style="display:inline-block;background:#1c2024;color:#ffffff;padding:9px 16px;border-radius:6px;text-decoration:none;font-weight:600">{{ .AcknowledgeLabel }}</a>&nbsp; {{ end }}
{{- if and .Reply (not .Over) }}<a href="mailto:{{ .Reply }}?subject=ack" style="color:#1971c2;white-space:nowrap">Acknowledge by mail</a>&nbsp; {{ end }}
{{- range .Links }}<a href="{{ .URL }}" style="color:#1971c2;white-space:nowrap">{{ .Label }}</a>&nbsp; {{ end }}</p>
{{- if and .Reply (not .Over) }}
<p style="margin:14px 0 0;font-size:12px;color:#5c6670">Answer this mail with ack, resolve, or snooze 2h; anything else becomes a note on the incident.</p>
{{- end }}
</td></tr></table>
</body></html>
`
