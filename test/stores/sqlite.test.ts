import { storeConformance } from './conformance.ts';
import { SqlitePlace } from './conformance/sqlite-place.ts';

storeConformance('the SQLite store', async () => new SqlitePlace());
