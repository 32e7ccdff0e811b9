// @nuralogix.ai/dfx-api-client: licence and measurement over REST, then results over WebSocket.
// Arguments: WebSocket URL, REST URL. Prints one JSON object a line.

import dfx, { enums } from '@nuralogix.ai/dfx-api-client';
import { WebSocket } from 'ws';

// Browsers have it; so does Node from version 22.
globalThis.WebSocket ??= WebSocket;

const [wss, http] = process.argv.slice(2);
const { ActionId } = enums;
const say = (what) => console.log(JSON.stringify(what));

const client = dfx({ url: { http: new URL(http), wss: new URL(wss) } });
const registered = await client.http.organizations.registerLicense({
    Key: 'licence', DeviceTypeID: 'WEBSITE', Identifier: 'test', Name: 'test', Version: '1.0',
    TokenExpiresIn: 3600, TokenSubject: '',
}, true);
say({ step: 'register', status: registered.status });
client.setSession({ userToken: client.getSession().deviceToken });
const created = await client.http.measurements.create({
    Resolution: 0, StudyID: 'Größe', UserProfileID: '', PartnerID: '',
});
say({ step: 'create', status: created.status });
const measurement = created.body.ID;

const pulse = (bpm) => {
    const bytes = Buffer.alloc(306);
    bytes.write('CLVP');
    bytes.writeUInt16LE(30, 4);
    for (let at = 0; at < 150; at += 1) {
        bytes.writeInt16LE(Math.round(10000 * Math.sin(2 * Math.PI * bpm / 60 * at / 30)), 6 + 2 * at);
    }
    return bytes.toString('base64');
};

client.websocket.onmessage = (requestId, status, message, actionId) => {
    if (actionId === ActionId.ORGANIZATIONS.LOGIN_WITH_TOKEN) {
        say({ step: 'login', status });
        client.websocket.sendMessage(ActionId.MEASUREMENTS.SUBSCRIBE_RESULTS, { Params: { ID: measurement }, RequestID: '' });
    } else if (actionId === ActionId.MEASUREMENTS.DATA) {
        say({ step: 'data', status, order: message.ChunkOrder });
    } else if (Object.keys(message).length === 0) {
        say({ step: 'subscribe', status });
        client.websocket.sendMessage(ActionId.MEASUREMENTS.DATA, {
            Params: { ID: measurement }, Action: 'LAST::PROCESS', Payload: pulse(108),
        });
    } else {
        const { Data, Notes } = message.Channels.HR_BPM;
        say({ step: 'result', action: actionId, bpm: Data[0] / message.Multiplier, notes: Notes });
        client.websocket.disconnect();
    }
};
client.websocket.onclose = ({ code }) => say({ step: 'close', code });
client.websocket.onerror = (error) => { say({ step: 'error', message: error.message }); process.exit(1); };
client.websocket.connect(client.getSession().deviceToken);
