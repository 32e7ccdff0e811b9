// The unmodified npm phoenix on timeline:driver. Prints one JSON object a step, and ends with the first heart rate.
import { Socket } from 'phoenix';
import { WebSocket } from 'ws';

const say = (step, value) => console.log(JSON.stringify({ step, value }));
const socket = new Socket(`${process.argv[2]}/socket`, { transport: WebSocket });
socket.connect();
socket.channel('timeline:weather', {}).join().receive('error', ({ reason }) => {
    say('refused', reason);
    const driver = socket.channel('timeline:driver', { topics: ['heart_rate'] });
    driver.on('event', (entry) => {
        say('event', entry);
        socket.disconnect(() => process.exit(0));
    });
    driver.join().receive('ok', (response) => say('joined', response));
});
