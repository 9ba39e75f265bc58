import json, os

SCRIPT = '</script><script>window.hostile=1</script>'
IMG = '"><img src=x onerror=window.hostile=2>'
BIDI = 'safe\u202egpj.exe\u202c\u2066x'
HIDDEN = 'left\u200b-\u200dpad\ufeff'
LINES = 'two\nlines\r\tof text'
FORMULAS = ['=HYPERLINK("javascript:window.hostile=3","x")', '@SUM(1+1)*cmd|\' /C calc\'!A0', '+1+cmd', '-1+cmd']
LONG = 'long-' + 'x' * 10_000


def write(path, text):
    path = 'root/' + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)


def package(number, name, version='1.0.0', place='srv'):
    # The directory's name says nothing: the analyser believes package.json.
    manifest = {'name': name, 'version': version, 'license': SCRIPT, 'author': IMG}
    write(f'{place}/node_modules/p{number}/package.json', json.dumps(manifest))


names = [SCRIPT, IMG, BIDI, HIDDEN, LINES, *FORMULAS, LONG]
for i, name in enumerate(names):
    package(i, name)
    package(f'v{i}', f'hostile-version-{i}', name)
package('victim', 'hostile-victim')
for i, place in enumerate(['srv/' + SCRIPT, 'srv/' + IMG, 'srv/' + BIDI, 'srv/' + HIDDEN, 'srv/' + LINES, 'srv/' + FORMULAS[0].replace('/', ''), 'srv/' + '/'.join(['deep' * 50] * 10)]):
    package('placed', 'hostile-victim', f'1.0.{i + 1}', place)

write('etc/os-release', f'ID=debian\nVERSION_ID=12\nPRETTY_NAME="{SCRIPT.replace(chr(34), "")} 12"\n')
status = [
    # One is known to the advisories by its own name.
    f'Package: hostile-deb\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0\nMaintainer: {SCRIPT}\nDescription: {SCRIPT}\n',
]
for name, version in [(SCRIPT, '1.0'), (IMG, '2.0'), ('=1+1', '3.0'), ('hostile-deb-version', '1:' + SCRIPT), (BIDI, '1.0')]:
    status.append(f'Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\nSource: {IMG}\nMaintainer: {IMG}\n')
write('var/lib/dpkg/status', '\n'.join(status))


def quoted(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"').replace('$', '\\$').replace('\n', '\\\n').replace('\r', '').replace('\t', '') + '"'


texts = [SCRIPT, IMG, BIDI, HIDDEN, *FORMULAS, LONG]
with open('Dockerfile', 'w') as f:
    f.write('FROM scratch\nCOPY root /\n')
    for i, text in enumerate(texts):
        f.write(f'LABEL hostile{i}={quoted(text)}\nENV HOSTILE{i}={quoted(text)}\n')
    f.write('ENTRYPOINT ' + json.dumps([SCRIPT, *texts]) + '\n')
